"""What differs between two renderings, by their manifests alone."""

import json
import re
from typing import Any

import pytest

from components.istio import endpoint, manifests, script
from components.istio.names import SCRIPT_HASH, Manifest
from components.output import markdown
from components.review import report
from components.review.changes import compare, may_hold_entry
from components.review.shown import as_texts
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
        ("targetRefs", "not there", "Gateway/waypoint", None): ["shop/w"],
        ("labels", "app=w", "not there", None): ["shop/w"],
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
    assert "and 992 more " in text


def test_a_row_that_is_too_wide_goes_on_in_the_next_rows() -> None:
    long = ", ".join(f"word-{number}" for number in range(30))
    rows = [("a", long, "http://a.example/whole"), ("b", "ü" * 200, "|" * 60)]
    lines = markdown.table("T", ("name", "what", "where"), rows, 80).splitlines()[2:]
    assert max(map(len, lines)) <= 80
    cells = [[cell.strip(" `") for cell in line.strip("|").split(" | ")] for line in lines[2:]]
    first = [row[1] for row in cells[: [row[0] for row in cells].index("b")]]
    assert " ".join(first) == long
    assert cells[0][2] == "http://a.example/whole"
    assert "".join(row[1] for row in cells).count("ü") == 200
    assert "".join(row[2] for row in cells).count("|") == 60


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


def with_code(manifest: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    """An object whose scripts differ in what is no setting."""
    assert old in json.dumps(manifest)
    changed: dict[str, Any] = json.loads(json.dumps(manifest).replace(old, new))
    return changed


FILTER = "EnvoyFilter.w.yaml"
SETTINGS = "--- The settings of this workload."


def test_code_that_changed_is_a_file_of_its_own_and_settings_stay_where_they_are() -> None:
    old = stack()[FILTER]
    new = with_code(old, SETTINGS, "--- The settings.")
    before, after = as_texts({"a": old, "b": old}, {"a": new, "b": new})
    assert before.keys() == after.keys() == {"a", "b", "capture-script-1.lua"}
    assert before["a"] == after["a"]
    assert "sampling_ratio = 1," in after["a"]
    assert SETTINGS not in after["a"]
    codes = [side["capture-script-1.lua"] for side in (before, after)]
    assert codes[0].replace(SETTINGS, "--- The settings.") == codes[1]


def test_code_is_known_by_its_text_and_not_by_the_hash_that_its_object_claims() -> None:
    usual = stack()[FILTER]
    foreign = with_code(usual, SETTINGS, "os.execute()")
    _, after = as_texts({}, {"usual": usual, "foreign": foreign})
    assert re.search(r"inline_string: capture script [0-9a-f]{12}\n", after["usual"])
    assert "os.execute()" in after["foreign"]


def test_a_script_without_the_mark_of_a_capture_stands_as_it_is() -> None:
    handmade = stack()[FILTER]
    handmade["metadata"]["annotations"] = {}
    _, after = as_texts({}, {"f": handmade})
    assert SETTINGS in after["f"]


def test_settings_that_differ_between_the_scripts_of_an_added_object_are_shown() -> None:
    added = stack()[FILTER]
    patches = added["spec"]["configPatches"]
    patches.append(with_code(patches[0], "sampling_ratio = 1,", "sampling_ratio = 0.5,"))
    _, after = as_texts({}, {"f": added})
    assert "sampling_ratio = 1," in after["f"]
    assert "sampling_ratio = 0.5," in after["f"]


def test_an_added_workload_is_told_with_what_is_not_the_default() -> None:
    before, after = stack(), stack()
    after[FILTER] = with_code(after[FILTER], "sampling_ratio = 1,", "sampling_ratio = 0.5,")
    changes = compare({key: value for key, value in before.items() if key != FILTER}, after)
    assert changes.settings == {}
    assert [(*change[:3], str(change.effect or "")) for change in changes.added_settings] == [
        ("sensorId", "not there", "s", ""),
        ("samplingRatio", "1", "0.5", "captures less"),
        ("collectorUrl", "not there", f"{URL}/v1/traces", ""),
    ]


def changed(before: dict[str, Any], after: dict[str, Any]) -> dict[str, tuple[str, str, list[str]]]:
    # As the review hands them over: without what is the same, but for entries.
    found = compare(
        {file: of for file, of in before.items() if of != after.get(file) or may_hold_entry(file)},
        {file: of for file, of in after.items() if of != before.get(file) or may_hold_entry(file)},
    ).settings
    return {change.setting: (change.old, change.new, names) for change, names in found.items()}


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
