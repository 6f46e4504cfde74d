"""``python -m lab.cluster``: build the control plane's binaries that are missing."""

import argparse
import sys

from . import build
from .error import ClusterError

if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m lab.cluster", description=build.__doc__).parse_args()
    try:
        build.ensure()
    except ClusterError as error:
        sys.exit(f"cluster: {error}")
    except KeyboardInterrupt:
        sys.exit("cluster: interrupted; run the same command again to go on")
