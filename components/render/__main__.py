"""The command: ``python -m astra_istio.render --stack dev --out DIR``."""

import sys

from . import main

if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
