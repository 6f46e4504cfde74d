"""`make demo` and `make demo-serve`, as a person or CI runs them."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from lab.stack import PROJECT

COMMAND = [sys.executable, "-m", "lab.demo"]


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], cwd=PROJECT, capture_output=True, text=True, timeout=50, check=False
    )


def test_the_demo_shows_every_call_and_what_was_masked() -> None:
    result = demo()

    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    row = next(line for line in lines if line.startswith("GET /api/products?page=1"))
    assert row.split()[2:4] == ["1.1", "200"]
    assert "masked authorization" in row
    assert any("GET /static/app.js" in line and "skipped" in line for line in lines)
    assert "All 12 expected spans arrived" in result.stdout
    assert "make demo-serve" in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_of_a_stack_that_samples_every_call_is_shown_too_and_said_so(stack: str) -> None:
    result = demo("--stack", stack)

    assert result.returncode == 0, result.stderr
    assert f"{stack} captures a share of the requests" in result.stdout
    assert "All 12 expected spans arrived" in result.stdout


@contextmanager
def serving() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command with ``--serve``, ready, and its address."""
    command = [*COMMAND, "--serve", "--port", "0"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        said = ""
        for line in process.stdout:
            said += line
            if line.startswith("Each captured call"):
                break
        [address] = set(re.findall(r"127\.0\.0\.1:\d+", said))
        yield process, address


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serving_shows_calls_as_they_come_and_ends_cleanly_at_a_signal(number: signal.Signals) -> None:
    with serving() as (process, address):
        assert process.stdout
        assert process.stderr
        httpx.get(f"http://{address}/api/products/99", trust_env=False)
        shown = process.stdout.readline()
        process.send_signal(number)

        assert shown.startswith("GET /api/products/99  1.1  404")
        assert process.wait(timeout=10) == 0
        assert process.stderr.read() == ""


def test_serving_ends_with_a_line_when_its_envoy_does() -> None:
    with serving() as (process, _):
        assert process.stderr
        [envoy] = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(envoy), signal.SIGKILL)

        assert process.wait(timeout=10) == 1
        told = process.stderr.read()
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
