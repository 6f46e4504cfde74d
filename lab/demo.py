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
    parser.add_argument("--show", action="store_true", help="with --serve: print all of each call")
    parser.add_argument("--no-browser", action="store_true", help="with --serve: open no browser")
    arguments = parser.parse_args()
    try:
        # It takes half a second, in which ctrl-C may come.
        from . import showcase  # noqa: PLC0415

        serving = showcase.Serving(
            port=arguments.port, in_full=arguments.show, browser=not arguments.no_browser
        )
        return showcase.run(arguments.stack, serving=serving if arguments.serve else None)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
