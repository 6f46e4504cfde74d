"""`make demo` and `make demo-serve`, as a person or CI runs them."""

import os
import re
import signal
import socket
import subprocess
import sys

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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serving_shows_calls_as_they_come_and_ends_cleanly_at_a_signal(number: signal.Signals) -> None:
    command = [*COMMAND, "--serve", "--port", "0"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        said = ""
        for line in process.stdout:
            said += line
            if line.startswith("Each captured call"):
                break
        [address] = set(re.findall(r"127\.0\.0\.1:\d+", said))
        httpx.get(f"http://{address}/api/products/99", trust_env=False)
        shown = process.stdout.readline()
        process.send_signal(number)

        assert shown.startswith("GET /api/products/99  1.1  404")
        assert process.wait(timeout=10) == 0
        assert process.stderr.read() == ""


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
