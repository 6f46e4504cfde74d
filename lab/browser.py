"""A headless Chromium, for the page's tests and pictures: Debian's, driven by Selenium."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from selenium import webdriver
from selenium.webdriver.chrome.webdriver import WebDriver

_FLAGS = (
    "--headless",
    "--no-sandbox",  # which needs rights that a container's root has not; it opens our own page only
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
)


def missing() -> str:
    """What has to be installed before a browser can run; empty if it can."""
    absent = [name for name in ("chromium", "chromedriver") if not shutil.which(name)]
    return f"{' and '.join(absent)} missing: apt-get install chromium chromium-driver" if absent else ""


@contextmanager
def running(*, width: int, height: int, dark: bool = False, scale: float = 1) -> Iterator[WebDriver]:
    """Run a browser until the block is left.

    Args:
        width: of its window, in CSS pixels.
        height: of its window.
        dark: prefer dark colours.
        scale: device pixels per CSS pixel.
    """
    with tempfile.TemporaryDirectory(prefix="lab-chromium-") as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or ""
        for flag in (*_FLAGS, f"--user-data-dir={profile}", f"--force-device-scale-factor={scale}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        # Named, so that Selenium looks for no driver in the network.
        service = webdriver.ChromeService(shutil.which("chromedriver") or "")
        driver = webdriver.Chrome(options, service)
        try:
            driver.execute_cdp_cmd(
                "Emulation.setDeviceMetricsOverride",
                {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": False},
            )
            scheme = "dark" if dark else "light"
            driver.execute_cdp_cmd(
                "Emulation.setEmulatedMedia",
                {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
            )
            yield driver
        finally:
            driver.quit()
