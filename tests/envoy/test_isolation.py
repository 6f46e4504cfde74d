"""Captures of several teams in one proxy: each sensor sees what it asked for, whatever the others do."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from aiohttp import web

from lab import mesh, stack
from lab.bootstrap import Json, Listener, Workload

pytestmark = pytest.mark.anyio

POD = Workload("shop", {"app": "checkout"})
ORGANISATION = "11111111-8f5b-4b0e-9c55-0d9f3c1b2a77"
TEAM = "22222222-8f5b-4b0e-9c55-0d9f3c1b2a77"
NOWHERE = "http://nowhere.example.svc.cluster.local:4318"

SKIPPING: dict[str, dict[str, Any]] = {
    "samples nothing": {"capture": {"samplingRatio": 0}},
    "skips all paths": {"capture": {"skipPaths": ["/*"]}},
    "has an unknown collector": {"collectorUrl": NOWHERE},
}

DENY: Json = {
    "name": "envoy.filters.http.rbac",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
        "rules": {"action": "ALLOW", "policies": {}},
    },
}


def captures(name: str, sensor: str, labels: Mapping[str, str] | None = None, **settings: Any) -> list[Json]:
    """What a stack of one workload declares, without the mesh's way to the collector."""
    workload = {
        "namespace": POD.namespace,
        "labels": dict(labels or {}),
        "capture": settings.pop("capture", {}),
    }
    declared = stack.manifests(sensorId=sensor, workloads={name: workload}, **settings)
    return [manifest for manifest in declared if manifest["kind"] == "EnvoyFilter"]


def entry() -> list[Json]:
    """The mesh's way to the collector."""
    return [manifest for manifest in stack.manifests() if manifest["kind"] != "EnvoyFilter"]


async def sensors(filters: Sequence[Json], count: int, *, listener: Listener | None = None) -> list[str]:
    """The sensors whose spans of a first request arrive, and then of a second; sorted."""
    async with (
        mesh.running([*entry(), *filters], workload=POD, listeners=[listener or Listener()]) as lab,
        lab.client() as client,
    ):
        for _ in range(2):
            await client.get("/api/products")
        spans = await lab.collector.spans(2 * count)
        assert lab.collector.refused == []
    return sorted(str(span.attributes["sensor.id"]) for span in spans)


async def test_captures_of_two_sensors_both_see_each_request() -> None:
    filters = captures("everyone", ORGANISATION) + captures("checkout", TEAM, POD.labels)
    assert await sensors(filters, 2) == [ORGANISATION] * 2 + [TEAM] * 2


@pytest.mark.parametrize("settings", SKIPPING.values(), ids=SKIPPING)
async def test_a_team_that_captures_nothing_hides_nothing_from_the_organisation(
    settings: dict[str, Any],
) -> None:
    filters = captures("everyone", ORGANISATION) + captures("checkout", TEAM, POD.labels, **settings)
    assert await sensors(filters, 1) == [ORGANISATION] * 2


@pytest.mark.parametrize("settings", SKIPPING.values(), ids=SKIPPING)
async def test_an_organisation_that_captures_nothing_hides_nothing_from_a_team(
    settings: dict[str, Any],
) -> None:
    filters = captures("everyone", ORGANISATION, **settings) + captures("checkout", TEAM, POD.labels)
    assert await sensors(filters, 1) == [TEAM] * 2


async def test_of_one_sensors_filters_one_captures() -> None:
    filters = captures("everyone", TEAM) + captures("checkout", TEAM, POD.labels)
    assert await sensors(filters, 1) == [TEAM] * 2


async def test_what_a_workloads_own_settings_skip_its_sensors_other_filter_skips_too() -> None:
    skipping = {"capture": {"skipPaths": ["/api/*"]}}
    filters = captures("everyone", TEAM) + captures("checkout", TEAM, POD.labels, **skipping)
    async with mesh.running([*entry(), *filters], workload=POD) as lab, lab.client() as client:
        await client.get("/api/products")
        await client.get("/echo")
        [span] = await lab.collector.spans(1)
    assert span.attributes["http.target"] == "/echo"


async def test_a_request_that_is_denied_before_the_filters_is_seen_by_both_sensors() -> None:
    filters = captures("everyone", ORGANISATION) + captures("checkout", TEAM, POD.labels)
    listener = Listener(filters_before=[DENY])
    assert await sensors(filters, 2, listener=listener) == [ORGANISATION] * 2 + [TEAM] * 2


async def test_an_export_that_passes_a_captured_proxy_is_not_exported_again() -> None:
    async with (
        mesh.running(stack.manifests()) as lab,
        lab.client() as client,
    ):
        passed: list[int] = []

        async def pass_on(request: web.Request) -> None:
            """The captured proxy of the collector's own pod, on the way to it."""
            headers = {**request.headers, "Host": "alias-of-the-collector.example.com"}
            answer = await client.post(request.path, content=await request.read(), headers=headers)
            passed.append(answer.status_code)

        lab.collector.behaviour = pass_on
        for count in (1, 2, 3):
            await client.get("/api/products")
            await lab.collector.spans(count)
        assert len(passed) == 3
        assert [span.attributes["http.method"] for span in await lab.collector.spans(3)] == ["GET"] * 3
