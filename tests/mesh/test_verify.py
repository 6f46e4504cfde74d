"""`make verify` against a real control plane: a healthy mesh, and each of the ways in which one is broken.

Pods are objects without containers here, and what would be the sidecar of one is a real Envoy. Its admin
address is told to verify, or found by a port-forward through a node that has nothing of a kubelet but this.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from components import render
from components.istio.names import GATEWAY_NAME
from lab import app, server, stack
from lab.bootstrap import Json
from lab.cluster import Mesh, Pair, Proxy, dump, objects
from lab.stack import PROJECT
from tests.mesh import waypoint

pytestmark = pytest.mark.anyio

LABELS = {"app": "w"}


class Finding(NamedTuple):
    """A finding, as JSON tells it."""

    level: str
    check: str
    subject: str
    message: str
    next: str


class Result(NamedTuple):
    """What a run of the command gave."""

    status: int
    output: str
    errors: str

    @property
    def findings(self) -> list[Finding]:
        """What is not fine."""
        found = [Finding(**finding) for finding in json.loads(self.output)["findings"]]
        return [finding for finding in found if finding.level != "ok"]

    @property
    def checks(self) -> list[str]:
        """Which checks found something."""
        return [finding.check for finding in self.findings]


@dataclass(frozen=True)
class Scenario:
    """A workload of a mesh, with its stack.

    Attributes:
        mesh: the cluster.
        namespace: of the workload.
        host: the collector's.
        project: the folder of the stack.
        proxy: the workload's sidecar or gateway.
        collector: the collector, until `collector_gone`.
        collector_gone: ends it.
    """

    mesh: Mesh
    namespace: str
    host: str
    project: Path
    proxy: Proxy
    collector: Pair
    collector_gone: AsyncExitStack

    @property
    def pod(self) -> str:
        """The workload's pod, as verify names it."""
        return f"{self.proxy.pod}.{self.namespace}"

    @property
    def manifests(self) -> list[Json]:
        """What the stack declares."""
        return render.manifests(self.project, stack.STACK)

    def one(self, kind: str) -> Json:
        """The only declared object of a kind."""
        [found] = [manifest for manifest in self.manifests if manifest["kind"] == kind]
        return found

    async def verify(self, *arguments: str, forward: bool = False, kubeconfig: Path | None = None) -> Result:
        """Run the command as a user does; JSON out.

        Args:
            arguments: more options.
            forward: let it find the proxy by a port-forward, instead of telling it the address.
            kubeconfig: the administrator's if not given.
        """
        options = ["--stack", stack.STACK, "--project", str(self.project), "--output", "json"]
        options += ["--interval", "0.5"]
        options += [] if forward else ["--admin", f"{self.pod}={self.proxy.admin}"]
        path = self.mesh.kubectl.path.parent
        return await run([*options, *arguments], kubeconfig or self.mesh.kubeconfig, path)

    async def requests(self, count: int = 3) -> None:
        """Send some."""
        async with self.proxy.client() as client:
            for _ in range(count):
                assert (await client.get("/api/products")).is_success

    async def runs(self, script: str) -> None:
        """Wait until the sidecar's listener has a script with a text in it."""
        await self.proxy.until(
            lambda config: any(script in text for text in dump.scripts(config, self.proxy.inbound).values()),
            f"a script with {script}",
        )


def environment(kubeconfig: Path, path: Path) -> dict[str, str]:
    """That of a command which finds one kubectl and one cluster, if any."""
    return {"HOME": os.environ["HOME"], "PATH": str(path), "KUBECONFIG": str(kubeconfig)}


async def run(arguments: Sequence[str], kubeconfig: Path, path: Path) -> Result:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "components.verify", *arguments),
        cwd=PROJECT,
        env=environment(kubeconfig, path),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert "Traceback" not in errors.decode()
    assert process.returncode is not None
    return Result(process.returncode, output.decode(), errors.decode())


def pod(namespace: str, labels: dict[str, str], *, name: str, proxy: bool = True) -> Json:
    containers = [
        {"name": container, "image": container} for container in ("app", *(["istio-proxy"] if proxy else []))
    ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "automountServiceAccountToken": False,
            "nodeName": f"node-{namespace}",
            "containers": containers,
        },
    }


async def start_pod(
    mesh: Mesh, namespace: str, labels: dict[str, str], *, name: str, proxy: bool = True
) -> None:
    """A pod that runs, as its kubelet would say if it had one."""

    def start() -> None:
        mesh.kubectl("wait", "--for=create", "serviceaccount/default", "-n", namespace, "--timeout=30s")
        mesh.kubectl.apply([pod(namespace, labels, name=name, proxy=proxy)], dry_run=False)
        running = json.dumps({"status": {"phase": "Running"}})
        mesh.kubectl(
            "patch", "pod", name, "-n", namespace, "--subresource=status", "--type=merge", "-p", running
        )

    await asyncio.to_thread(start)


async def end_pod(mesh: Mesh, namespace: str, name: str) -> None:
    """Without a kubelet that would confirm it."""
    command = ["delete", "pod", name, "-n", namespace, "--grace-period=0", "--force"]
    await asyncio.to_thread(mesh.kubectl, *command)


@asynccontextmanager
async def captured(
    mesh: Mesh,
    folder: Path,
    *,
    workload: Json | None = None,
    proxy: Json | None = None,
    deployed: bool = True,
    **config: Any,
) -> AsyncIterator[Scenario]:
    """A captured workload: pod, proxy, collector, and its stack, deployed.

    Args:
        mesh: the cluster.
        folder: an empty one, for the stack.
        workload: more of the workload's settings.
        proxy: more arguments of `Mesh.proxy`.
        deployed: False only writes the stack.
        config: keys of the stack's configuration; ``{host}`` in the URL is the collector's.
    """
    async with AsyncExitStack() as parts:
        namespace = parts.enter_context(mesh.namespace("verify"))
        host = f"otel.{namespace}"
        url = config.pop("collectorUrl", "http://{host}:4318").format(host=host, namespace=namespace)
        project = stack.project(
            folder,
            collectorUrl=url,
            egress={"name": f"collector-{namespace}"},
            workloads={"w": {"namespace": namespace, "labels": LABELS, **(workload or {})}},
            **config,
        )
        app_port = await parts.enter_async_context(server.serve(app.application()))
        parts.callback(mesh.names.pop, host, None)
        collector_gone = await parts.enter_async_context(AsyncExitStack())
        collector = await collector_gone.enter_async_context(mesh.collector(host))
        if deployed:
            await parts.enter_async_context(mesh.applied(render.manifests(project, stack.STACK)))
        running = await parts.enter_async_context(
            mesh.proxy(namespace, LABELS, app_port=app_port, **(proxy or {}))
        )
        await start_pod(mesh, namespace, LABELS, name=running.pod)
        parts.push_async_callback(end_pod, mesh, namespace, running.pod)
        scenario = Scenario(mesh, namespace, host, project, running, collector, collector_gone)
        if deployed:
            await scenario.runs("astra-istio-capture")
        yield scenario


@pytest.mark.parametrize("mechanism", ["EnvoyFilter", "TrafficExtension"])
async def test_nothing_is_wrong_with_a_healthy_mesh(mesh: Mesh, tmp_path: Path, mechanism: str) -> None:
    async with captured(mesh, tmp_path, workload={"mechanism": mechanism}) as scenario:
        await scenario.requests()
        await scenario.collector.spans(3)
        result = await scenario.verify()
        assert (result.status, result.findings) == (0, [])
        told = {finding["check"]: finding["message"] for finding in json.loads(result.output)["findings"]}
        assert told["pods"] == f"selects 1 running pods, 1 of them looked at: {scenario.pod}"
        assert told["exports"].startswith("3 exports arrived")


# As Istio's agent writes it: istio/istio, pkg/bootstrap/config.go.
KEPT_BY_ISTIO = ("cluster_manager", "listener_manager", "server", "cluster.xds-grpc", "wasm")


def as_in_istio(config: Json) -> None:
    patterns = [{"prefix": prefix} for prefix in KEPT_BY_ISTIO]
    config["stats_config"] = {"stats_matcher": {"inclusion_list": {"patterns": patterns}}}


async def test_statistics_that_istio_hides_are_told_and_exports_seen_without_them(
    mesh: Mesh, tmp_path: Path
) -> None:
    async with captured(mesh, tmp_path, proxy={"configure": as_in_istio}) as scenario:
        await scenario.requests()
        await scenario.collector.spans(3)
        result = await scenario.verify()
        assert (result.status, result.checks) == (0, ["statistics-hidden"])
        told = {finding["check"]: finding["message"] for finding in json.loads(result.output)["findings"]}
        assert told["exports"].startswith("3 exports arrived")


async def test_nothing_is_wrong_with_a_healthy_gateway(mesh: Mesh, tmp_path: Path) -> None:
    async with captured(
        mesh, tmp_path, workload={"directions": ["gateway"]}, proxy={"kind": "router"}
    ) as scenario:
        await scenario.requests()
        await scenario.collector.spans(3)
        result = await scenario.verify()
        assert (result.status, result.findings) == (0, [])


async def test_a_healthy_waypoint_and_one_without_the_collectors_cluster_are_told_apart(
    mesh: Mesh, namespace: str, shop: int, tmp_path: Path
) -> None:
    host, address = f"otel.{namespace}.svc.cluster.local", mesh.address()
    project = stack.project(
        tmp_path,
        collectorUrl=f"http://{host}:4318",
        egress={"name": f"collector-{namespace}", "waypoints": True},
        workloads={
            "w": {
                "namespace": namespace,
                "targetRefs": [{"kind": "Gateway", "name": waypoint.NAME}],
                "mechanism": "TrafficExtension",
            }
        },
    )
    manifests = render.manifests(project, stack.STACK)
    otel = objects.service(namespace, "otel", port=4318, address=address, target_port=4318)
    async with (
        mesh.collector(address=address) as collector,
        mesh.applied([*otel, *manifests]),
        waypoint.running(mesh, namespace, app_port=shop) as running,
        running.client() as client,
    ):
        labels = {GATEWAY_NAME: waypoint.NAME}
        await start_pod(mesh, namespace, labels, name=running.proxy.pod)
        await running.reaches(host)
        await running.settled(mesh)
        assert (await client.get("/api/products/1", headers={"host": "shop"})).is_success
        await collector.spans(1)
        options = ["--stack", stack.STACK, "--project", str(project), "--output", "json"]
        options += ["--admin", f"{running.proxy.pod}.{namespace}={running.proxy.admin}"]
        healthy = await run(options, mesh.kubeconfig, mesh.kubectl.path.parent)
        [known] = [found for found in manifests if found["kind"] == "EnvoyFilter"]
        await asyncio.to_thread(mesh.kubectl.delete, [known])
        await running.proxy.until(lambda config: not reaches(config, host), "the cluster gone")
        broken = await run(options, mesh.kubeconfig, mesh.kubectl.path.parent)
        await end_pod(mesh, namespace, running.proxy.pod)
    assert (healthy.status, healthy.findings) == (0, [])
    assert (broken.status, broken.checks) == (1, ["object-missing", "cluster-missing"])
    assert "waypoint" in broken.findings[1].next


async def test_a_workload_without_traffic_is_not_called_healthy(mesh: Mesh, tmp_path: Path) -> None:
    async with captured(mesh, tmp_path) as scenario:
        result = await scenario.verify()
        assert (result.status, result.checks) == (2, ["no-exports"])


async def test_a_collector_that_the_mesh_does_not_know_is_found(mesh: Mesh, tmp_path: Path) -> None:
    async with captured(
        mesh, tmp_path, collectorUrl="http://absent.{namespace}.svc.cluster.local:4318"
    ) as scenario:
        await scenario.requests()
        result = await scenario.verify()
        [finding] = [found for found in result.findings if found.level == "problem"]
        assert (result.status, finding.check) == (1, "cluster-missing")
        assert f"Service absent in namespace {scenario.namespace}" in finding.next


async def test_an_entry_that_was_deleted_is_found_with_what_it_causes(mesh: Mesh, tmp_path: Path) -> None:
    async with captured(mesh, tmp_path) as scenario:
        await asyncio.to_thread(mesh.kubectl.delete, [scenario.one("ServiceEntry")])
        await scenario.proxy.until(lambda config: not reaches(config, scenario.host), "the cluster gone")
        result = await scenario.verify()
        assert (result.status, result.checks) == (1, ["object-missing", "cluster-missing"])


async def test_a_sidecar_resource_that_hides_the_collector_is_found(mesh: Mesh, tmp_path: Path) -> None:
    async with captured(mesh, tmp_path, proxy={"egress_hosts": ["./*"]}) as scenario:
        result = await scenario.verify()
        assert (result.status, result.checks) == (1, ["hidden-by-sidecar"])
        [finding] = result.findings
        assert f"Sidecar {scenario.namespace}/{scenario.proxy.pod} hides {scenario.host}" in finding.message
        assert finding.next == f"add istio-system/{scenario.host} to the Sidecar's egress.hosts"


async def test_labels_that_select_no_pod_are_found(mesh: Mesh, tmp_path: Path) -> None:
    async with captured(mesh, tmp_path) as scenario:
        await asyncio.to_thread(
            mesh.kubectl, "label", "pod", scenario.proxy.pod, "app=x", "--overwrite", "-n", scenario.namespace
        )
        result = await scenario.verify()
        assert (result.status, result.checks) == (1, ["no-pods"])


async def test_a_pod_without_a_sidecar_is_found(mesh: Mesh, tmp_path: Path) -> None:
    async with captured(mesh, tmp_path) as scenario:
        await end_pod(mesh, scenario.namespace, scenario.proxy.pod)
        await start_pod(mesh, scenario.namespace, LABELS, name=scenario.proxy.pod, proxy=False)
        result = await scenario.verify()
        assert (result.status, result.checks) == (1, ["no-proxy"])


async def test_a_missing_tls_rule_is_found_at_the_object_and_at_the_proxy(mesh: Mesh, tmp_path: Path) -> None:
    async with captured(mesh, tmp_path, collectorUrl="https://{host}:4318") as scenario:
        await asyncio.to_thread(mesh.kubectl.delete, [scenario.one("DestinationRule")])
        await scenario.proxy.until(
            lambda config: "transport_socket" not in reaches(config, scenario.host), "plain text"
        )
        result = await scenario.verify()
        problems = [finding.check for finding in result.findings if finding.level == "problem"]
        assert (result.status, problems) == (1, ["object-missing", "no-tls"])


async def test_a_collector_that_is_down_is_found(mesh: Mesh, tmp_path: Path) -> None:
    async with captured(mesh, tmp_path) as scenario:
        await scenario.requests()
        await scenario.collector.spans(3)
        address = mesh.names[scenario.host]
        await scenario.collector_gone.aclose()
        mesh.names[scenario.host] = address  # DNS still has it
        await scenario.requests()
        result = await scenario.verify()
        assert (result.status, result.checks) == (1, ["losing-spans"])
        [finding] = result.findings
        assert finding.message.startswith("3 of 6 exports got lost since the proxy started: ")
        assert "connections failed" in finding.message
        assert "is the collector running" in finding.next


async def test_a_collector_that_left_dns_is_found(mesh: Mesh, tmp_path: Path) -> None:
    async with captured(mesh, tmp_path) as scenario:
        await scenario.collector_gone.aclose()
        await has_no_endpoints(scenario.proxy, scenario.host)
        result = await scenario.verify()
        assert (result.status, result.checks) == (1, ["no-endpoints"])


async def test_a_collector_whose_name_does_not_exist_is_found(mesh: Mesh, tmp_path: Path) -> None:
    async with captured(mesh, tmp_path, collectorUrl="http://nowhere.invalid:4318") as scenario:
        result = await scenario.verify()
        assert (result.status, result.checks) == (1, ["no-endpoints"])


async def test_registry_only_hides_no_collector(mesh: Mesh, tmp_path: Path) -> None:
    with mesh.istiod.mesh_config(outboundTrafficPolicy={"mode": "REGISTRY_ONLY"}):
        async with captured(mesh, tmp_path) as scenario:
            await scenario.requests()
            await scenario.collector.spans(3)
            result = await scenario.verify()
            assert (result.status, result.findings) == (0, [])


async def test_an_object_with_an_old_script_is_found(mesh: Mesh, tmp_path: Path) -> None:
    async with captured(mesh, tmp_path) as scenario:
        old = scenario.one("EnvoyFilter")
        old["metadata"]["annotations"] = {"astra.security/capture-script-sha256": "0" * 64}
        source = old["spec"]["configPatches"][0]["patch"]["value"]["typed_config"]["default_source_code"]
        source["inline_string"] = source["inline_string"].replace(
            "astra-istio-capture ", "astra-istio-capture 0.0."
        )
        await asyncio.to_thread(mesh.kubectl.apply, [old])
        await scenario.runs("astra-istio-capture 0.0.")
        await scenario.requests()
        await scenario.collector.spans(3)
        result = await scenario.verify()
        assert (result.status, result.checks) == (1, ["old-script"])
        [finding] = result.findings
        assert finding.subject.startswith("EnvoyFilter ")
        assert "holds the script 000000000000" in finding.message


async def test_a_proxy_that_refuses_its_listener_keeps_an_old_script_and_both_are_found(
    mesh: Mesh, tmp_path: Path
) -> None:
    async with captured(mesh, tmp_path) as scenario:
        await scenario.requests()
        await scenario.collector.spans(3)
        changed = stack.project(
            folder_in(tmp_path),
            collectorUrl=f"http://{scenario.host}:4318",
            egress={"name": f"collector-{scenario.namespace}"},
            workloads={"w": {"namespace": scenario.namespace, "labels": LABELS}},
            capture={"samplingRatio": 0.5},
        )
        broken = lua_filter(scenario.namespace, "broken", "this is no Lua")
        both = [broken, *render.manifests(changed, stack.STACK)]
        await asyncio.to_thread(mesh.kubectl.apply, both)
        await scenario.proxy.until(lambda config: "error_state" in json.dumps(config), "a refused listener")
        result = await scenario.verify("--project", str(changed))
        assert (result.status, result.checks) == (1, ["listener-rejected", "old-script"])
        refused, old = result.findings
        assert "script load error" in refused.message
        assert old.subject == scenario.pod


async def test_a_filter_that_was_applied_by_hand_beside_ours_is_found(mesh: Mesh, tmp_path: Path) -> None:
    async with captured(mesh, tmp_path) as scenario:
        guide = (PROJECT / "lab" / "data" / "guide.lua").read_text()
        await asyncio.to_thread(mesh.kubectl.apply, [lua_filter(scenario.namespace, "guide", guide)])
        await scenario.proxy.until(
            lambda config: "[Astra Instrum" in json.dumps(config), "the guide's script"
        )
        result = await scenario.verify()
        assert result.status == 1
        assert "guide-filter" in result.checks


async def test_a_value_that_somebody_changed_is_found(mesh: Mesh, tmp_path: Path) -> None:
    async with captured(mesh, tmp_path) as scenario:
        name, change = (
            f"collector-{scenario.namespace}",
            {"spec": {"trafficPolicy": {"connectionPool": {"tcp": {"maxConnections": 1}}}}},
        )
        await asyncio.to_thread(
            mesh.kubectl,
            "patch",
            "destinationrule",
            name,
            "-n",
            "istio-system",
            "--type=merge",
            "-p",
            json.dumps(change),
        )
        result = await scenario.verify()
        [finding] = [found for found in result.findings if found.level == "problem"]
        assert finding.check == "object-differs"
        assert finding.message == "spec.trafficPolicy.connectionPool.tcp.maxConnections is 1, declared 8"


async def test_a_stack_that_was_never_deployed_is_found(mesh: Mesh, tmp_path: Path) -> None:
    async with captured(mesh, tmp_path, deployed=False) as scenario:
        result = await scenario.verify()
        assert (result.status, set(result.checks)) == (1, {"object-missing", "cluster-missing"})


def reaches(config: Json, host: str) -> Json:
    """The cluster towards a collector; empty if there is none."""
    return next((found for name, found in dump.clusters(config).items() if name.endswith(f"||{host}")), {})


async def has_no_endpoints(proxy: Proxy, host: str) -> None:
    """Wait until the cluster towards a collector has none."""
    pattern = rf"^cluster\.outbound.*{host};?\.membership_total$"
    await proxy.until_statistics(pattern, lambda found: list(found.values()) == [0], "one that is zero", 60)


def folder_in(folder: Path) -> Path:
    """A new folder there."""
    new = folder / "changed"
    new.mkdir()
    return new


def lua_filter(namespace: str, name: str, script: str) -> Json:
    """An EnvoyFilter as somebody may have applied it by hand."""
    kind = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"
    value = {"name": name, "typed_config": {"@type": kind, "inlineCode": script}}
    manager = {"filterChain": {"filter": {"name": "envoy.filters.network.http_connection_manager"}}}
    patch = {
        "applyTo": "HTTP_FILTER",
        "match": {"context": "SIDECAR_INBOUND", "listener": manager},
        "patch": {"operation": "INSERT_BEFORE", "value": value},
    }
    return {
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"workloadSelector": {"labels": LABELS}, "configPatches": [patch]},
    }
