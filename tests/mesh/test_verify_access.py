"""What verify says where it may not read, or cannot, and that what the documentation asks for is enough."""

import asyncio
import json
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import server, stack
from lab.bootstrap import Json
from lab.cluster import Mesh, kubelet
from lab.stack import PROJECT
from tests.mesh.test_verify import captured, environment, run

pytestmark = pytest.mark.anyio


def documented_role() -> Json:
    """The ClusterRole of docs/verify.md."""
    blocks = re.findall(r"```yaml\n(.*?)```", (PROJECT / "docs" / "verify.md").read_text(), re.DOTALL)
    role: Json
    [role] = [found for found in map(yaml.safe_load, blocks) if found.get("kind") == "ClusterRole"]
    return role


@asynccontextmanager
async def auditor(mesh: Mesh, folder: Path, namespace: str, role: Json) -> AsyncIterator[Path]:
    """A kubeconfig of a service account that has a role in two namespaces, and no other rights."""
    role["metadata"]["name"] += f"-{namespace}"
    metadata = {"name": "auditor", "namespace": namespace}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": role["metadata"]["name"],
        },
        "subjects": [{"kind": "ServiceAccount", **metadata}],
    }
    objects = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        role,
        *(
            {**binding, "metadata": {"name": f"auditor-{namespace}", "namespace": place}}
            for place in (namespace, "istio-system")
        ),
    ]
    async with mesh.applied(objects):
        token = await asyncio.to_thread(mesh.kubectl, "create", "token", "auditor", "-n", namespace)
        config = yaml.safe_load(mesh.kubeconfig.read_text())
        config["users"][0]["user"] = {"token": token.strip()}
        kubeconfig = folder / "auditor.kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(config))
        yield kubeconfig


async def test_the_documented_rights_are_enough(mesh: Mesh, tmp_path: Path) -> None:
    async with captured(mesh, tmp_path) as scenario:
        await scenario.requests()
        await scenario.collector.spans(3)
        async with auditor(mesh, tmp_path, scenario.namespace, documented_role()) as kubeconfig:
            result = await scenario.verify(kubeconfig=kubeconfig)
        assert (result.status, result.findings) == (0, [])


@pytest.mark.parametrize(
    ("resource", "check", "denied"),
    [
        ("serviceentries", "object-unread", 'cannot list resource "serviceentries"'),
        ("pods", "pods-unread", 'cannot list resource "pods"'),
        ("pods/portforward", "proxy-unread", 'cannot create resource "pods/portforward"'),
    ],
)
async def test_each_missing_right_is_told_and_named(
    mesh: Mesh, tmp_path: Path, resource: str, check: str, denied: str
) -> None:
    role = documented_role()
    role["rules"] = [rule for rule in role["rules"] if resource not in rule["resources"]]
    async with captured(mesh, tmp_path) as scenario:
        await scenario.requests()
        await scenario.collector.spans(3)
        async with auditor(mesh, tmp_path, scenario.namespace, role) as kubeconfig:
            result = await scenario.verify(forward=check == "proxy-unread", kubeconfig=kubeconfig)
        assert (result.status, set(result.checks)) == (2, {check})
        assert denied in " ".join(found.message for found in result.findings)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return stack.project(tmp_path)


async def refused(project: Path, *arguments: str, kubeconfig: Path, path: Path) -> tuple[str, Any]:
    """The last line on standard error, and the JSON."""
    options = ["--stack", stack.STACK, "--project", str(project), "--output", "json", *arguments]
    result = await run(options, kubeconfig, path)
    assert result.status == 2
    return result.errors.splitlines()[-1], json.loads(result.output)


async def test_a_missing_kubectl_is_one_line(mesh: Mesh, project: Path) -> None:
    line, document = await refused(project, kubeconfig=mesh.kubeconfig, path=project)
    assert line == "kubectl: No such file or directory; install it, and put it on the PATH"
    assert (document["exitStatus"], document["verdict"]) == (2, line)


async def test_a_context_that_is_not_there_is_one_line(mesh: Mesh, project: Path) -> None:
    binaries = mesh.kubectl.path.parent
    line, _ = await refused(project, "--context", "nowhere", kubeconfig=mesh.kubeconfig, path=binaries)
    assert 'context "nowhere" does not exist' in line


def kubeconfig_with(mesh: Mesh, folder: Path, part: str, **content: str) -> Path:
    """A copy of the mesh's kubeconfig with another content of its ``cluster`` or ``user``."""
    config = yaml.safe_load(mesh.kubeconfig.read_text())
    config[f"{part}s"][0][part] = content
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    return kubeconfig


async def test_an_unreachable_cluster_is_one_line(mesh: Mesh, project: Path, tmp_path: Path) -> None:
    kubeconfig = kubeconfig_with(mesh, tmp_path, "cluster", server="https://127.0.0.1:1")
    line, _ = await refused(project, kubeconfig=kubeconfig, path=mesh.kubectl.path.parent)
    assert line.startswith("kubectl: ")
    assert "refused" in line


async def test_a_token_that_is_not_valid_is_one_line(mesh: Mesh, project: Path, tmp_path: Path) -> None:
    kubeconfig = kubeconfig_with(mesh, tmp_path, "user", token="wrong")
    line, _ = await refused(project, kubeconfig=kubeconfig, path=mesh.kubectl.path.parent)
    assert line.startswith("kubectl: ")
    assert "logged in" in line


async def test_a_stack_that_is_not_there_is_one_line(mesh: Mesh, project: Path) -> None:
    result = await run(
        ["--stack", "absent", "--project", str(project)], mesh.kubeconfig, mesh.kubectl.path.parent
    )
    assert result.status == 2
    assert result.errors.splitlines()[-1].startswith("no stack 'absent'")


async def test_a_proxy_is_found_by_a_port_forward_which_is_closed_afterwards(
    mesh: Mesh, tmp_path: Path
) -> None:
    async with captured(mesh, tmp_path) as scenario:
        await scenario.requests()
        await scenario.collector.spans(3)
        with kubelet.running(mesh, f"node-{scenario.namespace}", to=scenario.proxy.admin):
            async with auditor(mesh, tmp_path, scenario.namespace, documented_role()) as kubeconfig:
                result = await scenario.verify(forward=True, kubeconfig=kubeconfig)
        assert (result.status, result.findings) == (0, [])
        assert port_forwards(scenario.namespace) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_quietly_and_leaves_no_port_forward(
    mesh: Mesh, tmp_path: Path, number: signal.Signals
) -> None:
    async with captured(mesh, tmp_path) as scenario, silent() as (address, asked):
        with kubelet.running(mesh, f"node-{scenario.namespace}", to=address):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "components.verify"),
                *("--stack", stack.STACK, "--project", str(scenario.project)),
                cwd=PROJECT,
                env=environment(mesh.kubeconfig, mesh.kubectl.path.parent),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            async with asyncio.timeout(60):
                await asked.wait()
                assert len(port_forwards(scenario.namespace)) == 1
                process.send_signal(number)
                output, errors = await process.communicate()
        assert (process.returncode, output) == (130, b"")
        assert b"Traceback" not in errors
        assert port_forwards(scenario.namespace) == []


@asynccontextmanager
async def silent() -> AsyncIterator[tuple[str, asyncio.Event]]:
    """An address where something listens that never answers; the event is set when it is asked."""
    asked = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.read(1):
            asked.set()
        with suppress(ConnectionError):
            await reader.read()
        writer.close()

    async with await asyncio.start_server(listen, server.LOOPBACK, 0) as listener:
        host, port = listener.sockets[0].getsockname()
        yield f"{host}:{port}", asked


def port_forwards(namespace: str) -> list[str]:
    """Command lines of port-forwards into a namespace that run."""
    commands = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            commands.append(process.read_text("utf-8", "replace").replace("\0", " "))
    return [command for command in commands if "port-forward" in command and f"={namespace} " in command]


async def test_a_pod_without_a_kubelet_cannot_be_reached_and_that_is_told(mesh: Mesh, tmp_path: Path) -> None:
    async with captured(mesh, tmp_path) as scenario:
        result = await scenario.verify(forward=True)
        assert (result.status, result.checks) == (2, ["proxy-unread"])
        assert result.findings[0].message.startswith("kubectl port-forward: ")
