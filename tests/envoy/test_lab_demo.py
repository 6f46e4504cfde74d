"""`make demo` and `make demo-serve`, as a person or CI runs them."""

import os
import pty
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from lab import raw, stack
from lab.served import COMMAND, serving
from lab.stack import PROJECT


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], cwd=PROJECT, capture_output=True, text=True, timeout=50, check=False
    )


def demo_of(folder: Path, **config: Any) -> subprocess.CompletedProcess[str]:
    """The demo of the dev stack with other values for some keys."""
    project = stack.project(folder, **config)
    program = (
        "from lab import showcase, stack; import pathlib, sys; stack.PROJECT = pathlib.Path(sys.argv[1]); "
    )
    program += f"sys.exit(showcase.run({stack.STACK!r}, serving=None))"
    command = [sys.executable, "-c", program, str(project)]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=50, check=False)


def row(output: str, request: str) -> str:
    [found] = [line for line in output.splitlines() if request in line]
    return found


def test_the_demo_shows_every_call_and_what_was_masked_whatever_its_form() -> None:
    result = demo()

    assert result.returncode == 0, result.stderr
    shown = result.stdout
    assert row(shown, "GET /api/products?page=1").split()[:2] == ["200", "1.1"]
    masked = {
        "GET /api/products?page=1": "authorization, cookie",
        "POST /api/login": "password, set-cookie, token",
        "POST /api/feedback": "token",
        "POST /echo/signup": "password",
        "POST /echo/orders": "password",
        "POST /echo/webhooks": "api_key",
        "POST /echo/payments": "card, jwt",
    }
    for request, names in masked.items():
        assert row(shown, request).endswith(f"masked {names}")
    assert row(shown, "GET /static/app.js").endswith("not captured: skipPaths has /static*")
    assert "All 16 expected spans arrived" in shown
    assert "make demo-serve" in shown
    assert result.stderr == ""


@pytest.mark.parametrize("name", ["staging", "prod"])
def test_of_a_stack_that_samples_every_call_is_shown_too_and_what_is_not_run_is_said(name: str) -> None:
    result = demo("--stack", name)

    assert result.returncode == 0, result.stderr
    assert f"{name} captures a share of the requests" in result.stdout
    assert "All 16 expected spans arrived" in result.stdout
    workloads = yaml.safe_load((PROJECT / "stacks" / f"Pulumi.{name}.yaml").read_text())["config"]
    [of_stack] = [value for key, value in workloads.items() if key.endswith(":workloads")]
    directions = sum(len(workload.get("directions", [0])) for workload in of_stack.values())
    assert result.stdout.count("not run here: ") == directions - 1


def test_a_stack_that_skips_what_the_demo_sends_is_right(tmp_path: Path) -> None:
    result = demo_of(tmp_path, capture={"skipPaths": ["/api/*", "/echo/orders"]})

    assert result.returncode == 0, result.stderr
    assert "MISSING" not in result.stdout
    assert row(result.stdout, "POST /api/login").endswith("not captured: skipPaths has /api/*")
    assert row(result.stdout, "POST /echo/signup").endswith("masked password")
    assert "All 4 expected spans arrived" in result.stdout


def test_a_stack_that_skips_methods_and_types_is_right(tmp_path: Path) -> None:
    result = demo_of(tmp_path, capture={"skipMethods": ["POST"], "skipContentTypes": ["image/*", "text/csv"]})

    assert result.returncode == 0, result.stderr
    assert "MISSING" not in result.stdout
    assert row(result.stdout, "POST /api/login").endswith("not captured: skipMethods has POST")
    assert row(result.stdout, "GET /api/logo.png").endswith("not captured: skipContentTypes has image/*")
    assert row(result.stdout, "GET /api/export").endswith("not captured: skipContentTypes has text/csv")


def test_the_guides_payload_has_no_sizes_and_the_demo_knows_them_all_the_same(tmp_path: Path) -> None:
    result = demo_of(tmp_path, capture={"compatibility": "guide"})

    assert result.returncode == 0, result.stderr
    assert "50.0 MB" in row(result.stdout, "GET /api/export")
    assert row(result.stdout, "GET /api/export").endswith("response body cut")
    assert row(result.stdout, "POST /api/login").split()[4:8] == ["41", "B", "60", "B"]


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_in_a_terminal_of_80_columns_no_line_is_longer_and_no_word_is_broken(name: str) -> None:
    shown = in_terminal(80, "--stack", name)

    assert max(map(len, shown.splitlines())) <= 80
    wide = demo("--stack", name).stdout
    words = {word for word in wide.split() if not re.fullmatch(r"[\d.]+", word)}
    assert words - set(shown.split()) <= {"MASKED,", "LEFT", "OUT,", "CUT"}


def in_terminal(columns: int, *arguments: str) -> str:
    """What the demo prints to a terminal, without colours."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm"}
    with subprocess.Popen(
        [*COMMAND, *arguments], cwd=PROJECT, env=environment, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        said = b""
        while chunk := read(ours):
            said += chunk
        assert process.wait(timeout=50) == 0, said
    os.close(ours)
    return re.sub(r"\x1b\[[\d;]*m", "", said.decode().replace("\r\n", "\n"))


def read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other side is closed
        return b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serving_shows_calls_as_they_come_and_ends_cleanly_at_a_signal(number: signal.Signals) -> None:
    with serving() as running:
        assert running.process.stderr
        httpx.get(f"http://{running.address}/api/products/99", trust_env=False)
        shown = running.output.readline()
        running.process.send_signal(number)

        assert shown.split()[:2] == ["404", "1.1"]
        assert shown.endswith("GET /api/products/99\n")
        assert running.process.wait(timeout=10) == 0
        assert running.process.stderr.read() == ""


def test_serving_can_show_all_of_each_call() -> None:
    with serving("--show") as running:
        body = {"user": "ada", "password": "correct horse"}
        httpx.post(f"http://{running.address}/api/login", json=body, trust_env=False)
        first, *shown = running.call().splitlines()

    assert first.endswith("masked password, set-cookie, token")
    assert '      "password": "***"' in shown
    assert "    set-cookie: session=***; HttpOnly,theme=***" in shown
    assert "  request body: masked for its name, password" in shown
    assert "correct horse" not in "\n".join(shown)


async def test_a_terminal_obeys_nothing_of_a_call() -> None:
    with serving("--show") as running:
        host, _, port = running.address.partition(":")
        assert host == "127.0.0.1"
        async with raw.connect(int(port)) as connection:
            head = b"POST /echo HTTP/1.1\r\nhost: a\r\nuser-agent: \xc2\x9b31m\xe2\x80\xae\r\n"
            body = b"\x1b]0;owned\x07\x1b[2J\x9b31m\x7f"
            await connection.send(
                head + b"content-type: text/plain\r\ncontent-length: %d\r\n\r\n" % len(body) + body
            )
            await connection.response()
        shown = running.call()

    assert "\\x1b]0;owned\\x07\\x1b[2J" in shown
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", shown)


def test_a_browser_is_opened_where_there_is_a_desktop_and_may_be(tmp_path: Path) -> None:
    opened, told = tmp_path / "opened", tmp_path / "told"
    os.mkfifo(told)
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >> {opened}\necho > {told}\n')
    browser.chmod(0o755)
    desktop = {"DISPLAY": ":0", "BROWSER": str(browser), "CI": ""}

    for arguments, environment in (
        ([], {**desktop, "DISPLAY": ""}),
        ([], {**desktop, "CI": "1"}),
        (["--no-browser"], desktop),
    ):
        with serving(*arguments, **environment) as running:
            httpx.get(f"http://{running.address}/api/products/1", trust_env=False)
            running.output.readline()
        assert not opened.exists()
    with serving(**desktop) as running:
        told.read_text()
        assert opened.read_text() == f"{running.page}\n"


def test_serving_ends_with_a_line_when_its_envoy_does() -> None:
    with serving() as running:
        assert running.process.stderr
        pid = running.process.pid
        [envoy] = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        os.kill(int(envoy), signal.SIGKILL)

        assert running.process.wait(timeout=10) == 1
        told = running.process.stderr.read()
    assert told.startswith("demo: Envoy has ended; the last line of its log: ")
    assert told.count("\n") == 1


def test_ctrl_c_while_the_demo_is_still_loading_is_silent() -> None:
    program = """
import builtins, runpy
load = builtins.__import__
def interrupted(name, *rest, **named):
    if name == "rich.console":
        raise KeyboardInterrupt
    return load(name, *rest, **named)
builtins.__import__ = interrupted
runpy.run_module("lab.demo", run_name="__main__")
"""
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=50, check=False)

    assert (result.returncode, result.stdout, result.stderr) == (130, "", "")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--stack", "nowhere"], "demo: no stack 'nowhere'"),
        (["--serve", "--port", "99999"], "demo: cannot listen on port 99999"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], line: str) -> None:
    result = demo(*arguments)

    assert result.returncode == 1
    assert result.stderr.startswith(line)
    assert result.stderr.count("\n") == 1


def test_a_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        result = demo("--serve", "--port", str(port))

    assert result.returncode == 1
    assert result.stderr.startswith(f"demo: cannot listen on port {port} ([Errno")
    assert result.stderr.count("\n") == 1
