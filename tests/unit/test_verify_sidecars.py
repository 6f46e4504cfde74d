"""Which Sidecar applies to a pod, and what it lets it see: istio/api, networking/v1alpha3/sidecar.proto."""

from typing import Any

import pytest

from components.verify import sidecars
from components.verify.facts import Pod

ROOT = "istio-system"
HOST, NAMESPACE = "otel.obs.svc.cluster.local", "obs"
POD = Pod("shop", "w-1", {"app": "w", "version": "v1"}, running=True, proxy=True)


def sidecar(*hosts: str, namespace: str = "shop", name: str = "default", **labels: str) -> dict[str, Any]:
    spec: dict[str, Any] = {"egress": [{"hosts": list(hosts)}]} if hosts else {}
    if labels:
        spec["workloadSelector"] = {"labels": labels}
    return {"metadata": {"name": name, "namespace": namespace}, "spec": spec}


def hiding(*found: dict[str, Any], namespace: str | None = NAMESPACE) -> str | None:
    by = sidecars.that_hides(found, POD, HOST, namespace, ROOT)
    return str(by["metadata"]["name"]) if by else None


def test_without_a_sidecar_everything_is_seen() -> None:
    assert hiding() is None


@pytest.mark.parametrize(
    "host",
    ["*/*", "obs/*", f"obs/{HOST}", f"*/{HOST}", "obs/*.svc.cluster.local", "*/*.obs.svc.cluster.local"],
)
def test_a_host_that_is_listed_is_seen(host: str) -> None:
    assert hiding(sidecar("./*", host)) is None


@pytest.mark.parametrize(
    "host",
    ["./*", "~/*", f"~/{HOST}", "other/*", f"other/{HOST}", "obs/otel", "obs/*.otel.obs.svc.cluster.local"],
)
def test_a_host_that_is_not_listed_is_hidden(host: str) -> None:
    assert hiding(sidecar(host)) == "default"


def test_a_dot_is_the_sidecars_own_namespace() -> None:
    assert hiding(sidecar("./*"), namespace="shop") is None


def test_where_the_hosts_namespace_is_not_known_its_name_decides() -> None:
    assert hiding(sidecar(f"somewhere/{HOST}"), namespace=None) is None
    assert hiding(sidecar("somewhere/other.host"), namespace=None) == "default"
    assert hiding(sidecar("~/*"), namespace=None) == "default"


def test_that_which_selects_the_pod_wins_over_its_namespaces_and_that_over_the_meshs() -> None:
    own, shop, mesh = (
        sidecar("*/*", name="own", app="w"),
        sidecar("./*", name="shop"),
        sidecar("./*", name="mesh", namespace=ROOT),
    )
    assert hiding(mesh, shop, own) is None
    assert hiding(mesh, shop) == "shop"
    assert hiding(mesh) == "mesh"
    assert hiding(mesh, sidecar("*/*", name="shop")) is None


def test_a_sidecar_for_other_pods_does_not_apply() -> None:
    assert hiding(sidecar("./*", app="other"), sidecar("./*", app="w", version="v2")) is None


def test_a_sidecar_without_egress_leaves_it_to_the_next() -> None:
    assert hiding(sidecar(app="w"), sidecar("./*", name="shop")) == "shop"
