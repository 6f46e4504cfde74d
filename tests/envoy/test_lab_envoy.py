"""The lab's Envoy starts, fails and ends in plain sight."""

import asyncio
import os
import select
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lab import bootstrap, envoy, mesh, raw, stack
from lab.bench import callgrind
from lab.bootstrap import Json, Listener, Workload
from lab.mesh import Lab

DENY = {
    "name": "deny",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
        "rules": {"action": "ALLOW"},
    },
}
END_SECONDS = 10

START_AND_HANG = """
import asyncio
from lab import bootstrap, envoy

async def main():
    workload = bootstrap.Workload("shop", {})
    listeners = [bootstrap.Listener()]
    config = bootstrap.build([], workload=workload, listeners=listeners, app_port=1, collector_port=1)
    async with envoy.running(config) as proxy:
        print(proxy.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def config(*filters: Json, port: int = 0) -> Json:
    return bootstrap.build(
        [],
        workload=Workload("shop", {}),
        listeners=[Listener(port=port, filters_before=filters)],
        app_port=1,
        collector_port=1,
    )


def lua(script: str) -> Json:
    kind = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"
    return {
        "name": "lua",
        "typed_config": {"@type": kind, "default_source_code": {"inline_string": script}},
    }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the lab keeps its temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def content(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_a_script_that_does_not_load_fails_the_start_with_envoys_own_words(folder: Path) -> None:
    with pytest.raises(envoy.EnvoyError, match=r"(?s)exit code 1.*script load error.*expected near"):
        async with envoy.running(config(lua("function ("))):
            pass

    assert content(folder) == []


async def test_a_port_in_use_fails_the_start() -> None:
    async with envoy.running(config()) as first:
        taken = first.ports["inbound"]
        with pytest.raises(envoy.EnvoyError, match="Address already in use"):
            async with envoy.running(config(port=taken)):
                pass


async def test_an_envoy_that_is_not_ready_in_time_is_given_up_with_what_it_runs_under(folder: Path) -> None:
    hanging = ("/bin/sh", "-c", "echo waiting; exec sleep 60")
    with pytest.raises(envoy.EnvoyError, match=r"(?s)not ready after 0.5 s.*waiting"):
        async with envoy.running(config(), under=hanging, start_seconds=0.5):
            pass

    assert content(folder) == []


# Becomes the command behind its options, and leaves a pipe where they say, as Valgrind does.
VALGRIND = """#!/bin/sh
for word; do
  case $word in --vgdb-prefix=*) : >"${word#*=}-pipe" ;; --*) ;; *) exec "$@" ;; esac
  shift
done
"""


async def test_envoy_runs_under_callgrind_and_nothing_of_it_is_left(folder: Path) -> None:
    valgrind = folder / "valgrind"
    valgrind.write_text(VALGRIND)
    valgrind.chmod(0o755)
    async with callgrind.running(valgrind, config()) as counter:
        assert set(counter.proxy.ports) == {"inbound"}
        [own] = folder.glob("lab-callgrind-*")  # noqa: ASYNC240  # a local folder
        assert content(own) == ["vgdb-pipe"]

    with pytest.raises(ProcessLookupError):
        os.kill(counter.proxy.pid, 0)
    assert content(folder) == ["valgrind"]


async def test_leaving_the_block_ends_the_process_and_removes_its_files(folder: Path) -> None:
    async with envoy.running(config()) as proxy:
        assert content(folder) != []

    with pytest.raises(ProcessLookupError):
        os.kill(proxy.pid, 0)
    assert content(folder) == []


async def test_an_error_in_the_block_ends_the_process() -> None:
    with pytest.raises(ZeroDivisionError):
        async with envoy.running(config()) as proxy:
            raise ZeroDivisionError

    with pytest.raises(ProcessLookupError):
        os.kill(proxy.pid, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_envoy_does_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    command = [sys.executable, "-c", START_AND_HANG]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, cwd=stack.PROJECT, env=environment, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        proxy = os.pidfd_open(int(parent.stdout.readline()))
        try:
            parent.send_signal(signal.SIGKILL)
            ended, _, _ = select.select([proxy], [], [], END_SECONDS)
            assert ended
        finally:
            os.close(proxy)


async def test_statistics_are_read_by_pattern(lab: Lab) -> None:
    async with lab.client() as client:
        await client.get("/api/products")

    assert await lab.envoy.stats(r"^http\.inbound\.downstream_rq_2xx$") == {
        "http.inbound.downstream_rq_2xx": 1
    }


async def test_a_script_logs_at_the_level_that_was_asked_for() -> None:
    script = 'function envoy_on_request(handle) handle:logInfo("seen " .. handle:headers():get(":path")) end'
    async with envoy.running(config(lua(script)), lua_log_level="info") as proxy:
        async with raw.connect(proxy.ports["inbound"]) as connection:
            await connection.send(b"GET /here HTTP/1.1\r\nhost: a\r\n\r\n")
            await connection.response()
        assert "[info][lua] script log: seen /here" in proxy.log()


async def test_a_filter_ahead_of_the_capture_filter_may_answer() -> None:
    listeners = [Listener(), Listener("denied", filters_before=[DENY])]
    async with mesh.running(stack.manifests(), listeners=listeners, workers=2) as lab:
        async with lab.client() as client:
            assert (await client.get("/api/products")).status_code == 200
        async with lab.client("denied") as client:
            assert (await client.get("/api/products")).status_code == 403


async def test_the_client_speaks_http2_with_prior_knowledge(lab: Lab) -> None:
    async with lab.client(http2=True) as client:
        responses = await asyncio.gather(*(client.get("/api/products") for _ in range(3)))

    assert {response.http_version for response in responses} == {"HTTP/2"}


async def test_pipelined_requests_get_their_responses_in_order(lab: Lab) -> None:
    async with raw.connect(lab.envoy.ports["inbound"]) as connection:
        await connection.send(
            b"GET /api/products/1 HTTP/1.1\r\nhost: a\r\n\r\n"
            b"HEAD /api/products HTTP/1.1\r\nhost: a\r\n\r\n"
            b"GET /api/products/99 HTTP/1.1\r\nhost: a\r\n\r\n"
        )
        first = await connection.response()
        second = await connection.response(to_head=True)
        third = await connection.response()

    assert b"Espresso" in first.body
    assert second.header("content-length") == "100"
    assert second.body == b""
    assert third.status == 404


async def test_http_1_0_is_answered_and_its_connection_not_kept(lab: Lab) -> None:
    async with raw.connect(lab.envoy.ports["inbound"]) as connection:
        await connection.send(b"GET /api/products/1 HTTP/1.0\r\nhost: a\r\n\r\n")
        response = await connection.response()

    assert response.status == 200
    assert response.header("connection") == "close"


async def test_an_aborted_connection_is_reset() -> None:
    reset = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            reset.set_result(await reader.read())
        except ConnectionResetError as error:
            reset.set_exception(error)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, raw.connect(server.sockets[0].getsockname()[1]) as connection:
        await connection.abort()
        with pytest.raises(ConnectionResetError):
            await reset
