"""What differs between two renderings, by their manifests alone."""

from typing import Any

import pytest

from components.istio import endpoint, manifests, script
from components.istio.names import SCRIPT_HASH, Manifest
from components.output import markdown
from components.review import report
from components.review.changes import compare, may_hold_entry
from components.settings.models import Capture, Direction, Egress

ENTRY = "istio-system/allow-otel-collector-endpoint"
URL = "http://otel.obs:4318"


def capture(name: str, kind: str = "EnvoyFilter", code: str = "a", **spec: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "metadata": {"name": name, "namespace": "shop", "annotations": {SCRIPT_HASH: code * 64}},
        "spec": spec,
    }


def test_target_refs_are_told_as_labels_are() -> None:
    before = {"f": capture("w", selector={"matchLabels": {"app": "w"}})}
    after = {"f": capture("w", targetRefs=[{"kind": "Gateway", "name": "waypoint"}])}
    assert compare(before, after).settings == {
        ("targetRefs", "not there", "Gateway/waypoint"): ["shop/w"],
        ("labels", "app=w", "not there"): ["shop/w"],
    }
    assert compare({}, after).workloads["added"] == ["shop/w (Gateway/waypoint)"]


def test_a_script_in_another_form_is_compared_by_its_hash_alone() -> None:
    spec = {"lua": {"inlineCode": "-- of another release"}}
    before = {"f": capture("w", "TrafficExtension", "a", **spec)}
    after = {"f": capture("w", "TrafficExtension", "b", **spec)}
    changes = compare(before, after)
    assert changes.settings == {}
    assert changes.scripts == {("a" * 12, "b" * 12): ["shop/w"]}


def test_objects_of_others_are_compared_too() -> None:
    namespace = {"kind": "Namespace", "metadata": {"name": "shop"}}
    changes = compare({"east/Namespace.shop.yaml": namespace}, {})
    assert changes.objects == {"Namespace": {"removed": ["shop"]}}


def test_a_table_is_aligned_and_its_cells_hold_any_text() -> None:
    assert markdown.table("T", ("a", "b"), [("x|y", "1\n2"), ("", "z")]) == (
        "## T\n\n| a      | b      |\n|--------|--------|\n| `x\\|y` | `1\\n2` |\n|        | z      |\n"
    )


def test_many_workloads_are_counted() -> None:
    workloads = [f"w-{number}" for number in range(1000)]
    before = {name: capture(name) for name in workloads}
    after = {name: capture(name, code="b") for name in workloads}
    text = report.summary(compare(before, after))
    assert "shop/w-0, shop/w-1, shop/w-10, " in text
    assert " and 992 more |" in text


def stack(url: str = URL, **egress: Any) -> dict[str, Manifest]:
    """What a stack with the workload `shop/w` declares, by file."""
    settings = Egress.model_validate(egress, by_alias=True, by_name=False)
    collector = endpoint.collector(url, settings)
    captured = script.render(Capture(), sensor_id="s", collector=collector, direction=Direction.INBOUND)
    entry = manifests.Identity(settings.name, settings.namespace, {})
    found = [
        manifests.envoy_filter(
            {Direction.INBOUND: captured},
            manifests.Identity("w", "shop", {}),
            manifests.Attachment({"app": "w"}),
            http_filter="f",
            collector=collector,
        )
    ]
    if settings.create:
        found.append(manifests.destination_rule(collector, settings, entry))
    if settings.create and collector.registry is not endpoint.Registry.KUBERNETES:
        found.append(manifests.service_entry(collector, settings, entry))
    return {f"{manifest['kind']}.{manifest['metadata']['name']}.yaml": manifest for manifest in found}


def changed(before: dict[str, Any], after: dict[str, Any]) -> dict[str, tuple[str, str, list[str]]]:
    # As the review hands them over: without what is the same, but for entries.
    found = compare(
        {file: of for file, of in before.items() if of != after.get(file) or may_hold_entry(file)},
        {file: of for file, of in after.items() if of != before.get(file) or may_hold_entry(file)},
    ).settings
    return {setting: (old, new, names) for (setting, old, new), names in found.items()}


IN_KUBERNETES = "http://otel.obs.svc.cluster.local:4318"
OUTSIDE = "https://otel.example.com"
MUTUAL = {"mode": "MUTUAL", "clientCertificate": "/c.pem", "privateKey": "/k.pem"}


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({}, {"limits": {"maxConnections": 4}}, {"limits.maxConnections": ("8", "4")}),
        (
            {"url": IN_KUBERNETES},
            {"url": IN_KUBERNETES, "limits": {"maxPendingRequests": 9}},
            {"limits.maxPendingRequests": ("32", "9")},
        ),
        (
            {},
            {"limits": None},
            {
                "limits.maxConnections": ("8", "not there"),
                "limits.maxPendingRequests": ("32", "not there"),
            },
        ),
        ({}, {"exportTo": ["shop"]}, {"exportTo": ("not there", "shop")}),
        ({"exportTo": ["shop", "a"]}, {"exportTo": ["shop", "b"]}, {"exportTo": ("-a", "+b")}),
        ({}, {"location": "external"}, {"location": ("mesh", "external")}),
        (
            {"url": OUTSIDE, "exportTo": ["shop"]},
            {
                "url": OUTSIDE,
                "exportTo": ["shop"],
                "tls": {**MUTUAL, "sni": "otel", "caCertificates": "/ca.pem"},
            },
            {
                "tls.mode": ("SIMPLE", "MUTUAL"),
                "tls.sni": ("otel.example.com", "otel"),
                "tls.caCertificates": ("system", "/ca.pem"),
                "tls.clientCertificate": ("not there", "/c.pem"),
                "tls.privateKey": ("not there", "/k.pem"),
            },
        ),
    ],
)
def test_a_changed_setting_of_the_entry_is_told_by_its_key(
    before: dict[str, Any], after: dict[str, Any], told: dict[str, tuple[str, str]]
) -> None:
    assert changed(stack(**before), stack(**after)) == {
        f"egress.{key}": (*values, [ENTRY]) for key, values in told.items()
    }


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (URL, "http://otel.obs:4319"),
        (URL, "http://other.obs:4318"),
        (URL, "http://10.0.0.7:4318"),
        (URL, "http://[fd00::7]:4318"),
        (URL, IN_KUBERNETES),
        (IN_KUBERNETES, IN_KUBERNETES.replace("4318", "4319")),
        (OUTSIDE, f"{OUTSIDE}:8443"),
    ],
)
def test_a_moved_collector_is_told_by_its_url(before: str, after: str) -> None:
    told = changed(stack(before), stack(after))
    assert [key for key in told if key.startswith("collector")] == ["collectorUrl"]
    # A port outside of the mesh is the entry's alone: the script calls the same cluster, and is the same.
    path, names = ("", [ENTRY]) if before == OUTSIDE else ("/v1/traces", ["shop/w"])
    assert told["collectorUrl"] == (before + path, after + path, names)


def test_a_collector_that_goes_behind_tls_is_told_by_its_url_and_its_tls() -> None:
    told = changed(stack(), stack(URL.replace("http:", "https:"), location="mesh"))
    assert told == {
        "collectorUrl": (URL, "https://otel.obs:4318", [ENTRY]),
        "egress.tls.mode": ("not there", "SIMPLE", [ENTRY]),
        "egress.tls.sni": ("not there", "otel.obs", [ENTRY]),
        "egress.tls.caCertificates": ("not there", "system", [ENTRY]),
    }


def test_where_another_stack_declares_the_entry_a_moved_collector_is_told_by_its_cluster() -> None:
    told = changed(stack(create=False), stack("http://otel.obs:4319", create=False))
    assert told == {"collector.cluster": ("outbound|4318||otel.obs", "outbound|4319||otel.obs", ["shop/w"])}


def test_an_entry_that_goes_to_another_stack_is_no_moved_collector() -> None:
    before, after = stack(), stack(create=False)
    after = {
        file: {**manifest, "spec": {**manifest["spec"], "priority": 1}} for file, manifest in after.items()
    }
    assert changed(before, after) == {}


def test_an_entry_of_others_is_no_setting() -> None:
    before, after = stack(), stack(limits=None)
    for manifest in (*before.values(), *after.values()):
        manifest["metadata"]["labels"] = {}
    assert changed(before, after) == {}
