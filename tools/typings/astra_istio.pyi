# The installed package, for mypy: it has the types of this source.
from components import *  # noqa: F403 - the same names, whatever they are
