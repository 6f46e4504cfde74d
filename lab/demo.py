"""The command of ``make demo`` and ``make demo-serve``: ``python -m lab.demo``."""

import argparse
import sys

DEFAULT_PORT = 10000


def main() -> int:
    """The command. Returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.demo",
        description="Send real HTTP traffic through a real Envoy with a stack's capture filter, and show the "
        "spans that a collector gets. Everything runs on loopback, and ends with the command.",
    )
    parser.add_argument(
        "--stack", default="dev", metavar="NAME", help="stack to render (default: %(default)s)"
    )
    parser.add_argument("--serve", action="store_true", help="keep running, for requests of your own")
    parser.add_argument(
        "--port",
        type=int,
        default=DEFAULT_PORT,
        help="where --serve listens; 0 chooses a free port (default: %(default)s)",
    )
    arguments = parser.parse_args()
    try:
        # It takes half a second, in which ctrl-C may come.
        from . import showcase  # noqa: PLC0415

        return showcase.run(arguments.stack, serve=arguments.serve, port=arguments.port)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
