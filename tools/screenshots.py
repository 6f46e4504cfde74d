"""The pictures of the demo's page, for the README: ``make screenshots``."""

import argparse
import sys
from pathlib import Path

from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.support.wait import WebDriverWait

from lab import browser, served

DOCS = Path(__file__).parent.parent / "docs"

# By the name of the file: the width and height of the window, and whether it is dark.
PICTURES = {"page.png": (1440, 900, False), "page-dark.png": (1440, 900, True)}

_SAMPLES = (
    "HTTP/2",
    "500",
    "404",
    "Upload",
    "JSON in a string",
    "XML",
    "Card and JWT",
    "Form",
    "Bearer token",
    "Login",
)
_SECONDS = 30


def main() -> int:
    """The command. Returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.screenshots",
        description="Serve the demo, send its samples, open the login, and write a picture of the page.",
    )
    parser.add_argument("--out", type=Path, default=DOCS, metavar="DIR", help="folder (default: docs)")
    out = parser.parse_args().out
    if missing := browser.missing():
        sys.stderr.write(f"screenshots: {missing}\n")
        return 1
    with served.serving() as demo:
        for count, (name, (width, height, dark)) in enumerate(PICTURES.items(), start=1):
            with browser.running(width=width, height=height, dark=dark) as driver:
                driver.get(demo.page)
                if count == 1:
                    _send(driver)
                _wait(driver, f"return document.querySelectorAll('#rows tr').length === {len(_SAMPLES)}")
                driver.execute_script(f"location.hash = '#/calls/{len(_SAMPLES)}'")
                _wait(driver, "return document.querySelector('.fates')")
                # Without the light of what has just arrived.
                driver.execute_script(
                    "document.querySelectorAll('.new').forEach((row) => row.classList.remove('new'))"
                )
                driver.save_screenshot(str(out / name))
                sys.stdout.write(f"{out / name}: {(out / name).stat().st_size / 1000:.0f} kB\n")
    return 0


def _send(driver: WebDriver) -> None:
    for number, title in enumerate(_SAMPLES, start=1):
        _wait(driver, "return document.querySelectorAll('#samples button').length")
        driver.execute_script(
            "[...document.querySelectorAll('#samples button')]"
            ".find((button) => button.textContent === arguments[0]).click()",
            title,
        )
        _wait(driver, f"return document.querySelectorAll('#rows tr').length >= {number}")


def _wait(driver: WebDriver, script: str) -> None:
    WebDriverWait(driver, _SECONDS, 0.05).until(lambda it: it.execute_script(script))


if __name__ == "__main__":
    sys.exit(main())
