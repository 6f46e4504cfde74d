"""What differs between two renderings, by their manifests alone."""

from typing import Any

from components import change_report
from components.changes import compare
from components.manifests import SCRIPT_HASH


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
    assert change_report.table("T", ("a", "b"), [("x|y", "1\n2"), ("", "z")]) == (
        "## T\n\n| a    | b   |\n|------|-----|\n| x\\|y | 1 2 |\n|      | z   |\n"
    )


def test_many_workloads_are_counted() -> None:
    workloads = [f"w-{number}" for number in range(1000)]
    before = {name: capture(name) for name in workloads}
    after = {name: capture(name, code="b") for name in workloads}
    text = change_report.summary(compare(before, after))
    assert "shop/w-0, shop/w-1, shop/w-10, " in text
    assert " and 992 more |" in text
