"""The demo's page in a real browser."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from lab.served import Demo, serving

pytest.importorskip("selenium")

from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from lab import browser, raw
from lab.calls import KEPT
from lab.fuzz import shapes

pytestmark = [
    pytest.mark.skipif(bool(browser.missing()), reason=browser.missing()),
    pytest.mark.timeout(120),
]

LOGIN = {"user": "ada", "password": "correct horse"}


class Page:
    """The demo's page, opened."""

    def __init__(self, driver: WebDriver, demo: Demo) -> None:
        self.driver = driver
        self.demo = demo
        driver.get(demo.page)
        self.until("return document.querySelector('#live').textContent === 'live'")

    def until(self, script: str) -> None:
        """Wait until a script returns something true."""
        WebDriverWait(self.driver, 30, 0.05).until(lambda driver: driver.execute_script(script))

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        """The texts of elements, those off the screen too, all of one moment."""
        script = "return [...document.querySelectorAll(arguments[0])].map((found) => found.textContent)"
        return list(self.driver.execute_script(script, selector))

    def visible(self, selector: str) -> list[str]:
        script = (
            "return [...document.querySelectorAll(arguments[0])]"
            ".filter((found) => found.checkVisibility()).map((found) => found.innerText.trim())"
        )
        return list(self.driver.execute_script(script, selector))

    def press(self, title: str) -> None:
        [button] = [
            found
            for found in self.driver.find_elements(By.CSS_SELECTOR, "#samples button")
            if found.text == title
        ]
        button.click()

    def calls(self, count: int) -> list[WebElement]:
        """The links of the calls, the newest first, once there are so many."""
        self.until(f"return document.querySelectorAll('#rows tr').length >= {count}")
        return self.driver.find_elements(By.CSS_SELECTOR, "#rows a")

    def open(self, link: WebElement) -> None:
        """Open a call, and wait until it is shown beside what was sent, which may become known later."""
        link.click()
        number = str(link.get_attribute("href")).rpartition("/")[2]
        self.until(
            f"return document.querySelector('#detail').dataset.number === '{number}'"
            " && !document.querySelector('.title p').textContent.includes('not known')"
        )

    def post(self, path: str, content: bytes, content_type: str = "text/plain") -> None:
        headers = {"content-type": content_type}
        url = f"http://{self.demo.address}{path}"
        httpx.post(url, content=content, headers=headers, trust_env=False)

    def errors(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]


@contextmanager
def page(width: int = 1440, height: int = 900) -> Iterator[Page]:
    with serving() as demo, browser.running(width=width, height=height) as driver:
        yield Page(driver, demo)


def test_a_login_is_sent_opened_and_its_marks_say_what_was_masked_and_why() -> None:
    with page() as shown:
        assert shown.visible("#empty pre")
        shown.press("Login")
        [link] = shown.calls(1)
        shown.open(link)

        assert shown.visible(".title h2") == ["POST /api/login"]
        assert shown.texts(".side:nth-of-type(1) pre mark") == ["***name (masked for its name: password) "]
        assert [" ".join(row.split()) for row in shown.visible(".fates tbody tr")] == [
            "request body correct horse *** name password",
            "response header set-cookie s-81f00b *** place cookie session",
            "response header set-cookie dark *** place cookie theme",
            "response body tok-5f2c81d0 *** name token",
        ]
        assert "correct horse" not in shown.texts("details pre")[0]
        assert json.loads(shown.texts("details pre")[0])["resourceSpans"]
        assert ("redaction.mode", '"mask"') in zip(
            shown.texts("details .facts dt"), shown.texts("details .facts dd"), strict=True
        )
        assert shown.errors() == []


def test_a_body_with_a_script_stays_text_and_so_does_everything_else_from_the_network() -> None:
    hostile = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    with page() as shown:
        shown.post("/echo/<b>x", hostile.encode(), "text/html")
        shown.post("/echo", json.dumps({hostile: hostile, "password": hostile}).encode(), "application/json")
        shown.post("/echo?header=x-b:1", b"\x00\xff\xfe\x1b[2J\xe2\x80\xae" + hostile.encode())
        for link in shown.calls(3):
            shown.open(link)
            assert hostile in "".join(shown.texts("#detail pre.text")).replace('\\"', '"')

        assert shown.driver.title == "Captured calls"
        assert shown.driver.find_elements(By.CSS_SELECTOR, "main script, main img, main b b") == []
        assert shown.errors() == []


def test_calls_are_filtered_by_path_method_status_and_what_is_masked() -> None:
    with page() as shown:
        for title in ("Login", "404", "500", "Form"):
            shown.press(title)
        shown.calls(4)

        def found() -> list[str]:
            return shown.visible("#rows a")

        shown.one("#path").send_keys("FEED")
        assert found() == ["POST /api/feedback"]
        shown.one("#path").clear()
        shown.one("#method").send_keys("GET")
        assert sorted(found()) == ["GET /api/broken", "GET /api/products/99"]
        shown.one("#status").send_keys("5xx")
        assert found() == ["GET /api/broken"]
        shown.one("#masked").click()
        assert found() == []
        assert shown.visible("#none") == ["No call matches these filters."]


def test_the_keyboard_is_enough() -> None:
    with page() as shown:
        shown.press("Login")
        shown.calls(1)
        shown.press("404")
        shown.calls(2)[0].send_keys(Keys.ARROW_DOWN)
        shown.driver.switch_to.active_element.send_keys(Keys.ENTER)
        shown.until("return document.querySelector('#detail').dataset.number === '1'")
        assert shown.visible(".title h2") == ["POST /api/login"]
        assert shown.one("#rows a[aria-current]").text == "POST /api/login"


def test_a_call_that_changes_keeps_its_row_and_the_focus() -> None:
    changes = "take({ calls: [calls.get(1).call], passed: 1, captured: 1 })"
    with page() as shown:
        shown.press("Login")
        [link] = shown.calls(1)
        link.send_keys("")
        shown.driver.execute_script(changes)
        assert shown.driver.switch_to.active_element == link
        shown.open(link)

        shown.driver.execute_script("document.querySelector('#mark-0').focus()")
        shown.driver.execute_script("document.querySelector('#mark-0').dataset.before = 'true'")
        shown.driver.execute_script(changes)
        shown.until("return !document.querySelector('#mark-0').dataset.before")
        assert shown.driver.switch_to.active_element.get_attribute("id") == "mark-0"


def test_a_narrow_window_shows_the_list_or_the_call_and_nothing_beside_it() -> None:
    with page(width=380, height=800) as shown:
        shown.press("Login")
        [link] = shown.calls(1)
        shown.open(link)
        assert not shown.one("#rows").is_displayed()
        assert shown.driver.switch_to.active_element.get_attribute("id") == "call-title"
        assert shown.driver.execute_script("return document.documentElement.scrollWidth") <= 380
        shown.one(".back").click()
        shown.until("return document.querySelector('#rows').offsetHeight > 0")
        assert str(shown.driver.switch_to.active_element.get_attribute("href")).endswith("#/calls/1")


def test_the_page_says_when_the_demo_is_gone() -> None:
    with page() as shown:
        shown.demo.process.kill()
        shown.until("return document.querySelector('#live').textContent === 'cut off'")
        shown.press("Login")
        shown.until("return document.querySelector('#told').textContent.includes('does not answer')")


async def test_more_calls_than_are_kept_arrive_at_full_speed_and_what_is_dropped_is_said() -> None:
    count = 2_000
    with page() as shown:
        async with raw.connect(int(shown.demo.address.rpartition(":")[2])) as connection:
            await connection.send(b"GET /api/products/1?token=abc HTTP/1.1\r\nhost: a\r\n\r\n" * count)
            for _ in range(count):
                await connection.response()
        shown.until(f"return document.querySelector('#captured').textContent === '{count:,}'")

        assert shown.texts("#dropped") == [f"{count - KEPT:,}"]
        assert len(shown.calls(KEPT)) == KEPT
        shown.open(shown.calls(KEPT)[0])
        assert shown.visible(".fates .sent") == ["abc"]
        # Nobody has read what the demo printed meanwhile; it goes on where there is room again.
        assert any("calls came too fast to be shown here" in line for line in shown.demo.output)


def test_hostile_bodies_of_every_form_are_shown_compared_and_break_nothing() -> None:
    with page() as shown:
        for index, (start, content_type) in enumerate(shapes.FORMS.values()):
            unit = shapes.UNITS[index * 7 % len(shapes.UNITS)]
            body = shapes.Text(start, unit).of(20_000).encode("latin-1", "replace")
            shown.post("/echo", body, content_type)
        for link in shown.calls(len(shapes.FORMS)):
            shown.open(link)
            assert shown.texts("#detail pre.text")
        assert shown.errors() == []
