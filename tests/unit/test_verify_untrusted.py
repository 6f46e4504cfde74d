"""Clusters and proxies that answer what they should not: verify stays bounded, and says so in a line."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from components.istio.read import captures
from components.verify import admin, bounded, gather, kubectl
from components.verify.__main__ import main
from components.verify.admin import AdminError
from lab import stack

ROOT = Path(__file__).parents[2]
CLUSTER = "outbound|4318||astra-traffic-collector.astra-collector"
POD = {
    "metadata": {"name": "web-1", "namespace": "default", "labels": {"app": "productpage"}},
    "spec": {"containers": [{"name": "istio-proxy", "image": "proxy"}]},
    "status": {"phase": "Running"},
}

Serve = Callable[[socket.socket, bytes], None]
"""Answers on a connection to what was asked."""


@contextmanager
def listening(serve: Serve) -> Iterator[str]:
    """An address where each connection is served like that, and then closed."""

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=run, args=[connection], daemon=True).start()

    def run(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            serve(connection, connection.recv(65536))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def sending(*parts: bytes) -> Serve:
    def serve(connection: socket.socket, _: bytes) -> None:
        for part in parts:
            connection.sendall(part)

    return serve


def answering(body: bytes) -> Serve:
    return sending(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body), body)


def forever(head: bytes, part: bytes, pause: float = 0) -> Serve:
    def serve(connection: socket.socket, _: bytes) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(part)
            time.sleep(pause)

    return serve


def refused(serve: Serve) -> str:
    """Why what is served is not taken for an admin interface."""
    with listening(serve) as address, pytest.raises(AdminError) as error:
        admin.read(admin.client(address), {CLUSTER})
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_redirect_is_not_followed() -> None:
    asked = threading.Event()
    with listening(lambda *_: asked.set()) as elsewhere:
        location = f"HTTP/1.1 302 Found\r\nlocation: http://{elsewhere}/x\r\ncontent-length: 0\r\n\r\n"
        assert refused(sending(location.encode())) == "HTTP 302 instead of an answer"
    assert not asked.is_set()


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = threading.Event()
    with listening(lambda *_: asked.set()) as proxy:
        monkeypatch.setenv("http_proxy", f"http://{proxy}")
        monkeypatch.delenv("no_proxy", raising=False)
        refused(answering(b"[]"))
    assert not asked.is_set()


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "serve",
    [
        forever(OK + b"\r\n", b"x" * 65536),
        forever(OK + b"content-length: 9999999999\r\n\r\n", b"x" * 65536),
        forever(OK + b"transfer-encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65536 + b"\r\n"),
    ],
    ids=["until it is closed", "with a length", "chunked"],
)
def test_an_answer_without_end_is_read_up_to_a_limit(serve: Serve) -> None:
    assert refused(serve) == "the answer has more than 16 MiB"


@pytest.mark.parametrize(
    "serve",
    [
        forever(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.01),
        forever(OK, b"a", 0.01),
        forever(OK + b"\r\n", b" ", 0.01),
        forever(OK + b"transfer-encoding: chunked\r\n\r\n", b"0", 0.01),
        forever(b"", b"", 0.01),
    ],
    ids=["continues", "headers", "body", "chunk sizes", "nothing"],
)
def test_a_peer_that_drips_is_waited_for_up_to_a_limit(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "ANSWER_SECONDS", 0.3)
    assert refused(serve) == "no whole answer within 0.3 s"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"stats": [{"name": "a", "value": Infinity}]}', "is no JSON"),
        (b'{"stats": [{"name": "a", "value": -Infinity}]}', "is no JSON"),
        (b'{"stats": [{"name": "a", "value": NaN}]}', "is no JSON"),
        (b'{"stats": [{"name": "a", "value": 1e999}]}', "is no JSON"),
        (b'{"stats": [{"name": "a", "value": %s}]}' % (b"9" * 5000), "is no JSON"),
        (b'{"stats": [{"name": "a", "value": 18446744073709551616}]}', "is no JSON"),
        (b"", "is no JSON"),
        (b"<html>", "is no JSON"),
        (b"\xff\xfe\x00", "is no JSON"),
        (b'{"a":' * 200 + b"1" + b"}" * 200, "is nested more than 100 levels deep"),
        (b"[" * 400_000, "is nested more than 100 levels deep"),
        (b"[" + b"{}," * 500_000 + b"{}]", "has more than 500000 values"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_no_json_or_more_than_is_taken_is_told_in_one_line(body: bytes, reason: str) -> None:
    assert refused(answering(body)) == f"what answers there is no admin interface of Envoy: it {reason}"


INFO = {"version": "x/1.38.0/y", "node": {"id": "sidecar~"}}
LUA = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"


def with_filter(http_filter: Any) -> dict[str, Any]:
    chain = {"filters": [{"typed_config": {"http_filters": [http_filter]}}]}
    return {"configs": [{"listener": {"filter_chains": [chain]}}]}


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("config_dump?resource=static_listeners", with_filter({"name": 5, "typed_config": {"@type": LUA}})),
        (
            "config_dump?resource=static_listeners",
            with_filter({"name": "a", "typed_config": {"@type": LUA, "inline_code": 7}}),
        ),
        ("config_dump?resource=static_listeners", {"configs": [{"error_state": {"details": 7}}]}),
        ("config_dump?resource=static_clusters", {"configs": [{"cluster": {"name": ["a"]}}]}),
        ("clusters", {"cluster_statuses": [{"name": {}}]}),
        ("stats", {"stats": [{"name": "a", "value": None}]}),
        ("stats", {"stats": [{"name": "a", "value": "9" * 4000}]}),
        ("stats", {"stats": {"name": "a"}}),
        ("server_info", {"version": 7, "node": {}}),
    ],
)
def test_answers_of_another_shape_than_envoys_are_told_as_that(path: str, answer: dict[str, Any]) -> None:
    def get(asked: str) -> dict[str, Any]:
        if asked.startswith(path):
            return answer
        usual: dict[str, dict[str, Any]] = {"server_info": INFO, "clusters": {}, "stats": {"stats": []}}
        return usual.get(asked.partition("?")[0], {"configs": []})

    with pytest.raises(AdminError, match=r"^it does not answer as the admin interface of Envoy"):
        admin.read(get, {CLUSTER})


@pytest.mark.parametrize("value", ["0", 0, "18446744073709551615"])
def test_counters_of_64_bits_are_read(value: str | int) -> None:
    assert bounded.count(value) == int(value)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return stack.project(tmp_path / "project")


class FakeKubectl:
    """A kubectl on the PATH that is a script of the shell."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        folder.mkdir()
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def does(self, script: str) -> None:
        path = self.folder / "kubectl"
        path.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
        path.chmod(0o755)

    def has(self, **lists: list[Any]) -> None:
        """Lists of the cluster, by the first part of the resource's name; others are empty."""
        for name, items in lists.items():
            (self.folder / name).write_text(json.dumps({"items": items}), "utf-8")
        self.does(f'cat "{self.folder}/${{2%%.*}}" 2>/dev/null || echo \'{{"items": []}}\'')


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKubectl:
    return FakeKubectl(tmp_path / "bin", monkeypatch)


def told(project: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The last line on standard error of a run that could check nothing."""
    assert main([*arguments, "--project", str(project), "--stack", stack.STACK]) == 2
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    "printed",
    [
        "",
        "no JSON",
        "[]",
        "{}",
        '{"items": 7}',
        '{"items": [7]}',
        '{"items": [{"metadata": {}}]}',
        '{"items": [{"metadata": {"name": "a", "namespace": "b"}, "spec": []}]}',
        '{"items": Infinity}',
    ],
)
def test_a_kubectl_that_prints_no_list_is_told_in_one_line(
    project: Path, fake: FakeKubectl, capsys: pytest.CaptureFixture[str], printed: str
) -> None:
    fake.does(f"echo '{printed}'")
    assert re.fullmatch(r"kubectl get \S+: what it printed (is|has) .*", told(project, capsys))


def test_a_kubectl_that_prints_without_end_is_read_up_to_a_limit(
    project: Path, fake: FakeKubectl, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubectl, "MAX_LIST_BYTES", 1000)
    fake.does("exec yes")
    assert "printed more than 1000 bytes" in told(project, capsys)


def test_a_kubectl_that_complains_without_end_is_read_up_to_a_limit(
    project: Path, fake: FakeKubectl, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.does("exec yes >&2")
    assert "printed more than 65536 bytes" in told(project, capsys)


def test_a_kubectl_whose_child_keeps_the_pipe_ends_and_so_does_the_child(
    project: Path,
    fake: FakeKubectl,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kubectl, "COMMAND_SECONDS", 0.5)
    fake.does(f"sleep 600 & echo $! >> {tmp_path}/pids; echo '{{\"items\": []}}'")
    assert "no end after 0.5 s" in told(project, capsys)
    gone(tmp_path / "pids")


def test_lists_that_take_longer_than_the_whole_may_are_told_in_one_line(
    project: Path, fake: FakeKubectl, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.does(f"echo $$ >> {tmp_path}/pids; exec sleep 600")
    expected = "the cluster's objects and pods were not read within 0.5 s; is it slow? --timeout gives more"
    assert told(project, capsys, "--timeout=0.5") == expected
    gone(tmp_path / "pids")


def test_what_was_found_until_the_whole_has_taken_too_long_is_told(
    project: Path, fake: FakeKubectl, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.has(pods=[POD])
    with listening(forever(OK + b"\r\n", b" ", 0.01)) as drips:
        arguments = [f"--admin=web-1.default={drips}", "--project", str(project), "--stack", stack.STACK]
        assert main([*arguments, "--timeout=3", "--output=json"]) == 1
    found = {
        finding["check"]: finding["message"] for finding in json.loads(capsys.readouterr().out)["findings"]
    }
    assert found["proxy-unread"] == (
        "not read, as the 3 s of verify were over; --timeout gives more, --pods asks fewer"
    )
    assert "object-missing" in found


def test_exports_that_got_lost_are_not_read_again_where_no_time_is_left_for_it(
    project: Path, fake: FakeKubectl, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.has(pods=[POD])
    [capture] = captures(stack.manifests())
    lossy = {
        "address": {"socket_address": {"port_value": 4318}},
        "stats": [{"name": "rq_error", "value": 2}],
    }
    cluster = {
        "configs": [{"cluster": {"name": capture.cluster}}],
        "cluster_statuses": [{"name": capture.cluster, "host_statuses": [lossy]}],
    }

    def serve(connection: socket.socket, request: bytes) -> None:
        answer = cluster if b"clusters" in request else {**INFO, "configs": [], "stats": []}
        answering(json.dumps(answer).encode())(connection, request)

    with listening(serve) as address:
        arguments = [f"--admin=web-1.default={address}", "--project", str(project), "--stack", stack.STACK]
        assert main([*arguments, "--interval=600"]) == 1
    printed = capsys.readouterr()
    assert "1 of them lost exports: no time is left to read them again ..." in printed.err
    assert "2 of 2 exports got lost since the proxy started" in printed.out


@pytest.mark.parametrize("output", ["table", "markdown", "json"])
def test_people_are_told_what_a_long_wait_is_for_and_programs_are_not(
    project: Path,
    fake: FakeKubectl,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    output: str,
) -> None:
    monkeypatch.setattr(gather, "LONG_SECONDS", 0)
    monkeypatch.setattr(kubectl, "COMMAND_SECONDS", 0.5)
    fake.does('case "$2" in pods) exec sleep 600;; *) echo \'{"items": []}\';; esac')
    assert main(["--project", str(project), "--stack", stack.STACK, "--output", output]) == 2
    is_told = "waiting for kubectl get pods in default, 60 s at most ...\n" in capsys.readouterr().err
    assert is_told == (output != "json")


def gone(pids: Path) -> None:
    """Awaits that no process of a list runs any more."""
    for pid in pids.read_text("utf-8").split():
        while Path(f"/proc/{pid}").exists() and "(zombie)" not in Path(f"/proc/{pid}/status").read_text(
            "utf-8"
        ):
            time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_at_once_with_all_that_kubectl_started(
    project: Path, fake: FakeKubectl, tmp_path: Path, number: signal.Signals
) -> None:
    started, pids = tmp_path / "started", tmp_path / "pids"
    os.mkfifo(started)
    fake.does(f"trap '' TERM INT; sleep 600 & echo $$ $! >> {pids}; echo > {started}; wait")
    with verifying(project) as process:
        started.read_text("utf-8")
        process.send_signal(number)
        output, errors = process.communicate()
    assert (process.returncode, output) == (130, b"")
    assert b"Traceback" not in errors
    gone(pids)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_does_not_wait_for_a_proxy_that_drips(
    project: Path, fake: FakeKubectl, number: signal.Signals
) -> None:
    fake.has(pods=[POD])
    dripping = threading.Event()

    def serve(connection: socket.socket, _: bytes) -> None:
        connection.sendall(OK + b"\r\n")
        dripping.set()
        forever(b"", b" ", 0.01)(connection, b"")

    with listening(serve) as address, verifying(project, f"--admin=web-1.default={address}") as process:
        assert dripping.wait(50)
        process.send_signal(number)
        output, errors = process.communicate()
    assert (process.returncode, output) == (130, b"")
    assert b"Traceback" not in errors


@contextmanager
def verifying(project: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "components.verify", "--project", str(project), "--stack", stack.STACK]
    with subprocess.Popen(
        [*command, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            process.kill()


HOSTILE = "\x1b]0;x\x07\x1b[31m\u202eevil\u200b\x9b1m\r"


def test_nothing_that_kubectl_says_acts_on_a_terminal(
    project: Path, fake: FakeKubectl, capsys: pytest.CaptureFixture[str]
) -> None:
    (fake.folder / "error").write_text(f"error: {HOSTILE}\n", "utf-8")
    fake.does(f"cat {fake.folder}/error >&2; exit 1")
    for output in ("table", "json"):
        arguments = ["--project", str(project), "--stack", stack.STACK, "--output", output]
        assert main(arguments) == 2
        printed = capsys.readouterr()
        assert "\\u202eevil\\u200b" in printed.err
        assert re.search(r"[^\n -~]", printed.out + printed.err) is None
    assert HOSTILE.strip() in json.loads(printed.out)["verdict"]


def test_nothing_that_a_proxy_or_an_object_says_acts_on_a_terminal(
    project: Path, fake: FakeKubectl, capsys: pytest.CaptureFixture[str]
) -> None:
    [live] = [manifest for manifest in stack.manifests() if manifest["kind"] == "ServiceEntry"]
    live["spec"][HOSTILE] = HOSTILE
    fake.has(pods=[POD], serviceentries=[live])
    listeners = with_filter({"name": "a", "typed_config": {"@type": LUA, "inline_code": HOSTILE}})
    listeners["configs"].append({"error_state": {"details": HOSTILE}})

    def serve(connection: socket.socket, request: bytes) -> None:
        answer = listeners if b"static_listeners" in request else {**INFO, "stats": []}
        answering(json.dumps(answer).encode())(connection, request)

    with listening(serve) as address:
        arguments = [f"--admin=web-1.default={address}", "--project", str(project), "--stack", stack.STACK]
        for output in ("table", "json"):
            assert main([*arguments, "--output", output]) == 1
            printed = capsys.readouterr()
            assert "\\u202eevil" in printed.out
            assert re.search(r"[^\n -~]", printed.out + printed.err) is None
    checks = {found["check"]: found["message"] for found in json.loads(printed.out)["findings"]}
    assert "evil" in checks["listener-rejected"]
    assert "evil" in checks["object-differs"]
