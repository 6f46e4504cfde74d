"""From facts to findings. Pure."""

from collections.abc import Iterator

from ..facts import Facts
from ..findings import Finding
from . import deployed, exports, pods, proxies


def findings(facts: Facts) -> Iterator[Finding]:
    """All findings, in the order in which causes come before what follows from them."""
    yield from deployed.check(facts)
    yield from pods.check(facts)
    yield from proxies.check(facts)
    yield from exports.check(facts)
