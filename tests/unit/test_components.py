"""What the components declare, under which names, and that they declare nothing when anything is wrong."""

from typing import Any, cast

import pulumi
import pulumi_kubernetes
import pytest

from components import CollectorEgress, CollectorEgressArgs, SettingsError, TrafficCapture, WorkloadCapture
from components.istio import endpoint
from components.settings import validation
from tests.unit.conftest import Engine

SENSOR_ID = "5f0a3c1e-8f5b-4b0e-9c55-0d9f3c1b2a77"
URL = "http://astra-traffic-collector.astra-collector:4318/v1/traces"


def args(**changes: Any) -> Any:
    workloads = {"productpage": {"namespace": "default", "labels": {"app": "productpage"}}}
    return {"sensor_id": SENSOR_ID, "collector_url": URL, "workloads": workloads, **changes}


def workload_args(**changes: Any) -> Any:
    return {"sensor_id": SENSOR_ID, "collector_url": URL, "namespace": "default", **changes}


def test_the_children_of_a_nested_component_stay_its_own_and_use_the_provider_given_from_outside(
    engine: Engine,
) -> None:
    class Platform(pulumi.ComponentResource):
        def __init__(self, opts: pulumi.ResourceOptions) -> None:
            super().__init__("acme:index:Platform", "platform", None, opts)
            TrafficCapture("astra", args(), pulumi.ResourceOptions(parent=self))
            self.register_outputs({})

    def program() -> None:
        provider = pulumi_kubernetes.Provider("cluster")
        Platform(pulumi.ResourceOptions(providers=[provider]))

    engine.run(program)
    parents = {resource.name: resource.parent for resource in engine.declared}
    assert parents["astra"] == "platform"
    assert parents["astra-productpage"] == "astra"
    objects = [resource for resource in engine.declared if resource.type.startswith("kubernetes:")]
    assert len(objects) == 3
    assert all("::cluster::cluster-id" in resource.provider for resource in objects)


def test_outputs_say_where_the_collector_is_and_what_captures_each_workload(engine: Engine) -> None:
    engine.run(lambda: TrafficCapture("astra", args()))
    assert engine.outputs["astra"] == {
        "collector_host": "astra-traffic-collector.astra-collector",
        "collector_port": 4318,
        "collector_cluster": "outbound|4318||astra-traffic-collector.astra-collector",
        "captured_workloads": {
            "productpage": {"namespace": "default", "filter_name": "astra-istio-mesh-filter-productpage"}
        },
    }


def test_nothing_is_declared_when_one_workload_of_many_is_wrong(engine: Engine) -> None:
    workloads = {"good": {"namespace": "default"}, "bad": {"namespace": "Default"}}
    with pytest.raises(SettingsError):
        engine.run(lambda: TrafficCapture("astra", args(workloads=workloads)))
    assert engine.declared == []


@pytest.mark.parametrize("component", [CollectorEgress, WorkloadCapture, TrafficCapture])
def test_nothing_is_declared_by_a_component_whose_arguments_are_wrong(engine: Engine, component: Any) -> None:
    with pytest.raises(SettingsError):
        engine.run(lambda: component("astra", {"collector_url": "ftp://x"}))
    assert engine.declared == []


def test_a_program_with_several_components_is_told_which_of_them_is_wrong(engine: Engine) -> None:
    def build() -> None:
        for name, namespace in (("one", "shop"), ("two", "Shop")):
            WorkloadCapture(name, cast("Any", workload_args(namespace=namespace, labels={"app": "x y"})))

    with pytest.raises(SettingsError) as refusal:
        engine.run(build)
    assert [problem.partition(":")[0] for problem in refusal.value.problems] == ["one.labels.app"]


@pytest.mark.parametrize("component", [CollectorEgress, WorkloadCapture, TrafficCapture])
def test_every_problem_names_its_component(engine: Engine, component: Any) -> None:
    with pytest.raises(SettingsError) as refusal:
        engine.run(lambda: component("astra", {"collector_url": "ftp://x", "a b": 1}))
    assert {problem[: len("astra")] for problem in refusal.value.problems} == {"astra"}
    assert any(problem.startswith('astra["a b"]: unknown key') for problem in refusal.value.problems)


@pytest.mark.parametrize("value", [pulumi.Output.secret, pulumi.Output.from_input], ids=["secret", "output"])
def test_a_sensor_id_that_is_no_plain_string_is_refused_with_the_reason(engine: Engine, value: Any) -> None:
    with pytest.raises(SettingsError) as refusal:
        engine.run(lambda: TrafficCapture("astra", args(sensor_id=value(SENSOR_ID))))
    assert refusal.value.problems == (
        (
            "astra.sensor_id: got an Output, expected the sensor's UUID, such as "
            "12345678-9abc-4def-8123-456789abcdef, "
            "known at preview: one secret or unknown value in the script hides all of it from review "
            "(await another stack's output first, with StackReference.get_output_details)"
        ),
    )


def test_names_namespaces_and_labels_may_be_outputs(engine: Engine) -> None:
    def later(value: Any) -> Any:
        return pulumi.Output.from_input(value)

    workloads = {
        "waypoint": {"namespace": "books", "target_refs": [{"kind": "Gateway", "name": later("waypoint")}]},
        "whole": {
            "namespace": later("books"),
            "labels": later({"app": "whole"}),
            "filter_name": later("mine"),
        },
        "value": {"namespace": "books", "labels": {"app": later("value")}},
    }
    egress = {"name": later("collector"), "namespace": later("istio-root")}
    stack = args(workloads=workloads, egress=egress, common_labels={"istio.io/rev": later("canary")})
    engine.run(lambda: TrafficCapture("astra", stack))

    found = {resource.name: resource.inputs for resource in engine.declared}
    entry = found["astra-egress-service-entry"]["metadata"]
    assert (entry["name"], entry["namespace"]) == ("collector", "istio-root")
    assert entry["labels"]["istio.io/rev"] == "canary"
    whole, value = found["astra-whole-envoy-filter"], found["astra-value-envoy-filter"]
    assert (whole["metadata"]["name"], whole["metadata"]["namespace"]) == ("mine", "books")
    assert whole["spec"]["workloadSelector"] == {"labels": {"app": "whole"}}
    assert whole["spec"]["priority"] == 20
    assert value["spec"]["workloadSelector"] == {"labels": {"app": "value"}}
    [target] = found["astra-waypoint-envoy-filter"]["spec"]["targetRefs"]
    assert target["name"] == "waypoint"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"namespace": "Books"},
            (
                "w.namespace: got 'Books', expected a namespace: at most 63 of a-z, 0-9 and '-', no '-' "
                "at an end"
            ),
        ),
        (
            {"filter_name": "-"},
            "w.filter_name: got '-', expected a Kubernetes name: at most 253 of a-z, 0-9, '-' and '.'",
        ),
        ({"labels": {}}, "w.labels: got {}, expected at least one label"),
        (
            {"labels": {"app": 1}},
            (
                "w.labels.app: got 1, expected a label value, in quotes if it looks like a number or a date: "
                "at most 63 of "
                "A-Z, a-z, 0-9, '-', '_' and '.'"
            ),
        ),
    ],
)
def test_an_output_is_checked_when_it_is_known(engine: Engine, changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        engine.run(
            lambda: WorkloadCapture(
                "w", workload_args(**{key: pulumi.Output.from_input(value) for key, value in changes.items()})
            )
        )
    assert refusal.value.problems == (problem,)


def test_a_targets_name_is_checked_when_it_is_known(engine: Engine) -> None:
    target = {"kind": "Gateway", "name": pulumi.Output.from_input("Waypoint")}
    with pytest.raises(SettingsError, match=r"^w\.target_refs\[0\]\.name: got 'Waypoint', expected a Kuber"):
        engine.run(lambda: WorkloadCapture("w", workload_args(target_refs=[target])))


def test_an_output_is_not_written_into_the_script(engine: Engine) -> None:
    url: Any = pulumi.Output.from_input(URL)
    with pytest.raises(SettingsError, match="collector_url: got an Output"):
        engine.run(lambda: WorkloadCapture("w", workload_args(collector_url=url)))


def test_a_workload_is_called_like_its_component_unless_it_has_a_name(engine: Engine) -> None:
    def program() -> None:
        WorkloadCapture("reviews", workload_args())
        WorkloadCapture("second", workload_args(workload="details"))

    engine.run(program)
    names = {
        resource.name: resource.inputs["metadata"]["name"]
        for resource in engine.declared
        if resource.type.endswith(":EnvoyFilter")
    }
    assert names == {
        "reviews-envoy-filter": "astra-istio-mesh-filter-reviews",
        "second-envoy-filter": "astra-istio-mesh-filter-details",
    }


def test_a_component_whose_name_is_no_kubernetes_name_needs_one_for_its_workload(engine: Engine) -> None:
    with pytest.raises(SettingsError, match=r"^My_App.workload: got 'My_App', expected a name"):
        engine.run(lambda: WorkloadCapture("My_App", workload_args()))


def test_a_workload_alone_and_in_a_stack_is_the_same_object(engine: Engine) -> None:
    settings: dict[str, Any] = {"namespace": "books", "labels": {"app": "x"}, "directions": ["outbound"]}

    def program() -> None:
        stack = args(
            workloads={"x": {**settings, "capture": {"export": {"timeout_ms": 1}}}},
            capture={"sampling_ratio": 0.5, "export": {"max_batch_spans": 2}},
        )
        TrafficCapture("stack", stack)
        capture = {"sampling_ratio": 0.5, "export": {"timeout_ms": 1, "max_batch_spans": 2}}
        WorkloadCapture("x", workload_args(**settings, capture=capture))

    engine.run(program)
    found = {resource.name: resource.inputs for resource in engine.declared}
    assert found["stack-x-envoy-filter"] == found["x-envoy-filter"]


def test_a_way_and_captures_composed_by_hand_are_what_a_stack_declares(engine: Engine) -> None:
    workloads: dict[str, Any] = {
        "reviews": {"namespace": "books", "labels": {"app": "reviews"}},
        "edge": {"namespace": "istio-ingress", "labels": {"app": "edge"}, "directions": ["gateway"]},
    }

    def program() -> None:
        to_collector: CollectorEgressArgs = {
            "collector_url": "https://collector.example.com",
            "egress": {"name": "otel", "limits": {"max_connections": 2}},
            "common_labels": {"istio.io/rev": "canary"},
        }
        stack = {**to_collector, "sensor_id": SENSOR_ID, "workloads": workloads}
        TrafficCapture("stack", cast("Any", stack))
        CollectorEgress("egress", to_collector)
        for name, workload in workloads.items():
            WorkloadCapture(name, cast("Any", {**to_collector, "sensor_id": SENSOR_ID, **workload}))

    engine.run(program)
    found = {r.name: r.inputs for r in engine.declared if r.type.startswith("kubernetes:")}
    of_the_stack = {
        name.removeprefix("stack-"): found.pop(name) for name in sorted(found) if "stack-" in name
    }
    assert found == of_the_stack


def test_components_register_what_the_user_wrote_and_children_their_part_of_it(engine: Engine) -> None:
    workload = {"namespace": "books", "labels": {"app": "w"}, "capture": {"headers": ["Accept"]}}
    egress = {"limits": {"max_connections": 2}}
    written = args(workloads={"w": workload}, capture={"sampling_ratio": 0.5}, egress=egress)
    engine.run(lambda: TrafficCapture("astra", written))
    inputs = {resource.name: resource.inputs for resource in engine.declared}
    assert inputs["astra"] == written
    to_collector = {"collector_url": URL, "egress": egress, "common_labels": {}}
    assert inputs["astra-egress"] == to_collector
    assert inputs["astra-w"] == {
        **to_collector,
        "sensor_id": SENSOR_ID,
        "workload": "w",
        "namespace": "books",
        "labels": {"app": "w"},
        "capture": {"headers": ["accept"], "sampling_ratio": 0.5},
    }


def test_a_stacks_settings_are_parsed_once_and_make_one_collector(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def counted(function: Any) -> Any:
        def call(*arguments: Any) -> Any:
            calls.append(function.__name__)
            return function(*arguments)

        return call

    monkeypatch.setattr("components.rules.check.parse", counted(validation.parse))
    monkeypatch.setattr("components.istio.endpoint.collector", counted(endpoint.collector))
    workloads: dict[str, Any] = {name: {"namespace": name, "labels": {}} for name in ("a", "b", "c")}
    engine.run(lambda: TrafficCapture("astra", args(workloads=workloads)))
    assert calls == ["parse", "collector"]


def test_the_way_to_the_collector_is_left_to_another_stack(engine: Engine) -> None:
    engine.run(lambda: TrafficCapture("astra", args(egress={"create": False, "waypoints": True})))
    kinds = [resource.type for resource in engine.declared if resource.type.startswith("kubernetes:")]
    assert kinds == ["kubernetes:networking.istio.io/v1alpha3:EnvoyFilter"]


def test_plain_text_to_the_outside_is_allowed_with_a_warning(engine: Engine) -> None:
    egress = cast("Any", {"collector_url": "http://a.example:4318", "egress": {"location": "external"}})
    engine.run(lambda: CollectorEgress("egress", egress))
    assert engine.warnings == [
        "http://a.example:4318: captured traffic leaves the mesh in plain text; use an https URL"
    ]


def test_capturing_the_whole_mesh_is_allowed_with_a_warning(engine: Engine) -> None:
    engine.run(
        lambda: TrafficCapture("astra", args(workloads={"all": {"namespace": "istio-system", "labels": {}}}))
    )
    assert engine.warnings == [
        (
            "workloads.all: captures every pod of the mesh; keep the collector's own pods out of it "
            "(no sidecar in them), or what others send to them is captured there"
        )
    ]


def test_a_component_alone_warns_too_and_names_itself(engine: Engine) -> None:
    gateway = workload_args(labels={"istio": "ingressgateway"})
    engine.run(lambda: (WorkloadCapture("edge", gateway), WorkloadCapture("all", workload_args())))
    warned = sorted(warning.partition(": ")[0] for warning in engine.warnings)
    assert warned == ["all", "edge.directions"]


def test_preview_says_which_workloads_cannot_be_renamed_alone(engine: Engine) -> None:
    workloads = {
        "kept": {"namespace": "a", "labels": {"app": "a"}, "filter_name": "astra-istio-mesh-filter"},
        "free": {"namespace": "b", "labels": {"app": "b"}},
    }
    engine.run(lambda: TrafficCapture("astra", args(workloads=workloads)))
    [said] = engine.infos
    assert said.startswith("kept: if you rename a workload that has a filterName, change filterName too")
    assert engine.warnings == []
