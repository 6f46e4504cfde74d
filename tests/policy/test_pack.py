"""Each rule of the policy pack, both ways, on what the engine asks it about real components."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pulumi
import pytest
from pulumi.runtime.proto import analyzer_pb2
from pulumi_kubernetes.apiextensions import CustomResource

from components import CollectorEgress, TrafficCapture, WorkloadCapture
from components.policy import REASON_LABEL
from components.settings.defaults import SECRET_FIELDS, SECRET_HEADERS, TEXT_TYPES
from components.settings.models import Capture
from lab import stack as lab_stack
from tests.policy.conftest import Pack, Violation, unknown

SENSOR_ID = "5f0a3c1e-8f5b-4b0e-9c55-0d9f3c1b2a77"
URL = "http://otel.obs.svc.cluster.local:4318"
OUTSIDE = {"collector_url": "http://collector.example.com:4318", "egress": {"location": "external"}}

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "policy.md"

Build = Callable[[], object]


def stack(workload: dict[str, Any], **settings: Any) -> Build:
    """A program that declares one TrafficCapture with one workload, `w`."""
    common = {"sensor_id": SENSOR_ID, "collector_url": URL, **settings}
    return lambda: TrafficCapture("t", cast("Any", {**common, "workloads": {"w": workload}}))


def workload(**settings: Any) -> Build:
    """A program that declares one WorkloadCapture."""
    common = {"sensor_id": SENSOR_ID, "collector_url": URL, "namespace": "shop", "labels": {"app": "w"}}
    return lambda: WorkloadCapture("w", cast("Any", {**common, **settings}))


def egress(**settings: Any) -> Build:
    """A program that declares one CollectorEgress."""
    return lambda: CollectorEgress("e", cast("Any", {"collector_url": URL, **settings}))


def asked(inputs: dict[str, Any]) -> analyzer_pb2.AnalyzeRequest:
    """What the engine asks about a WorkloadCapture that this release of the package would not declare."""
    type_ = "astra-istio:index:WorkloadCapture"
    request = analyzer_pb2.AnalyzeRequest(type=type_, name="w", urn=f"urn:pulumi:test::tests::{type_}::w")
    request.properties.update({"sensor_id": SENSOR_ID, "collector_url": URL, **inputs})
    return request


ORDERS = {"namespace": "shop", "labels": {"app": "orders"}}


def capturing(**capture: Any) -> dict[str, Any]:
    return {**ORDERS, "capture": capture}


@pytest.mark.parametrize("build", [stack(ORDERS), workload(), egress()])
def test_a_usual_program_violates_nothing(pack: Pack, build: Build) -> None:
    assert pack.violations(build) == []


@pytest.mark.parametrize(("build", "name"), [(stack({"namespace": "shop"}), "t-w")])
def test_a_capture_without_labels_is_refused(pack: Pack, build: Build, name: str) -> None:
    [violation] = pack.violations(build)
    assert violation == Violation(
        "selector",
        name,
        "captures every pod of namespace 'shop': say by labels which pods, or `labels: {}` if all are meant",
    )


def test_target_refs_select_too(pack: Pack) -> None:
    request = asked({"namespace": "shop", "target_refs": [{"kind": "Service", "name": "orders"}]})
    assert "selector" not in {diagnostic.policyName for diagnostic in pack.stub.Analyze(request).diagnostics}


def test_a_capture_of_a_whole_namespace_is_allowed_where_it_is_asked_for(pack: Pack) -> None:
    assert pack.violations(stack({"namespace": "shop", "labels": {}})) == []
    assert pack.violations(workload(labels={})) == []


def test_labels_that_are_not_known_at_preview_are_labels(pack: Pack) -> None:
    def build() -> None:
        workload(labels=cast("pulumi.Output[Any]", unknown()), namespace=unknown())()

    assert pack.violations(build, preview=True) == []


def test_settings_are_checked_where_a_namespace_is_not_known_at_preview(pack: Pack) -> None:
    def build() -> None:
        workload(namespace=unknown(), capture={"redaction": {"mode": "none"}})()

    [violation] = pack.violations(build, preview=True)
    assert violation.policy == "redaction"


@pytest.mark.parametrize(
    ("redaction", "what"),
    [
        ({"mode": "none"}, "redaction.mode is none"),
        (
            {"headers": [name for name in SECRET_HEADERS if name != "cookie"]},
            "redaction.headers lacks cookie",
        ),
        ({"fields": []}, "redaction.fields lacks password, "),
    ],
)
def test_lists_of_redaction_are_compared_with_the_defaults(
    pack: Pack, redaction: dict[str, Any], what: str
) -> None:
    [violation] = pack.violations(stack(capturing(redaction=redaction)))
    assert violation.message.startswith(what)


@pytest.mark.parametrize(
    ("capture", "what"),
    [
        ({"redaction": {"mode": "none"}}, "redaction.mode is none"),
        ({"binary_bodies": "bytes"}, "binaryBodies is bytes, which nothing masks"),
        (
            {"content_types": [*TEXT_TYPES, "application/x-protobuf", "image/*", "application/*"]},
            "contentTypes has application/x-protobuf, image/*, application/*, which masking may not read",
        ),
    ],
)
def test_masking_may_be_weakened_for_an_accepted_reason_only(
    pack: Pack, capture: dict[str, Any], what: str
) -> None:
    def violations(reason: str | None, accepted: list[str]) -> list[Violation]:
        labels = {} if reason is None else {REASON_LABEL: reason}
        build = stack(capturing(**capture), common_labels=labels)
        return pack.violations(build, redaction={"reasons": accepted})

    [violation] = violations(None, ["load-test", "demo"])
    assert violation[:2] == ("redaction", "t-w")
    assert violation.message.startswith(what)
    assert violation.message.endswith(
        f"got no reason in the common label {REASON_LABEL}, expected one of demo, load-test"
    )
    [violation] = violations("laziness", ["demo"])
    assert "got 'laziness' in the common label" in violation.message
    [violation] = violations("demo", [])
    assert violation.message.endswith("expected none: no reason is accepted")
    assert violations("demo", ["demo"]) == []


def test_what_weakens_masking_for_the_stack_weakens_it_for_its_workloads(pack: Pack) -> None:
    [violation] = pack.violations(stack(ORDERS, capture={"binary_bodies": "bytes"}))
    assert violation[:2] == ("redaction", "t-w")


def test_more_redaction_needs_no_reason(pack: Pack) -> None:
    more = {
        "headers": [*SECRET_HEADERS, "x-tenant"],
        "fields": [*reversed(SECRET_FIELDS), "iban"],
        "extra_headers": ["x-customer"],
        "extra_fields": ["tax id"],
        "keep_fields": [],
    }
    assert pack.violations(stack(capturing(redaction=more))) == []


@pytest.mark.parametrize(
    ("redaction", "told"),
    [
        ({"values": ["jwt"]}, "redaction.values lacks"),
        ({"keep_fields": ["password"]}, "redaction.keepFields has"),
    ],
)
def test_fewer_kinds_of_values_and_more_kept_names_need_a_reason(
    pack: Pack, redaction: dict[str, Any], told: str
) -> None:
    [violation] = pack.violations(stack(capturing(redaction=redaction)))
    assert told in violation.message


@pytest.mark.parametrize("types", [[], ["text/html", "application/json", "application/problem+json"]])
def test_fewer_or_narrower_content_types_need_no_reason(pack: Pack, types: list[str]) -> None:
    assert pack.violations(stack(capturing(content_types=types))) == []


def test_a_reason_that_is_not_known_at_preview_is_none(pack: Pack) -> None:
    def build() -> None:
        workload(common_labels={REASON_LABEL: unknown()}, capture={"redaction": {"mode": "none"}})()

    [violation] = pack.violations(build, preview=True, redaction={"reasons": ["demo"]})
    assert violation.policy == "redaction"
    assert "got an Output in the common label" in violation.message


def test_capture_stays_within_the_organisations_limits(pack: Pack) -> None:
    limits = {"maxSamplingRatio": 0.5, "maxBodyBytes": 4096}
    over = stack(capturing(sampling_ratio=0.75, max_body_bytes=8192))
    assert pack.violations(over, limits=limits) == [
        Violation("limits", "t-w", "samplingRatio: got 0.75, expected at most 0.5"),
        Violation("limits", "t-w", "maxBodyBytes: got 8192, expected at most 4096"),
    ]
    assert pack.violations(stack(capturing(sampling_ratio=0.5, max_body_bytes=4096)), limits=limits) == []


def test_limits_are_about_what_holds_in_the_end(pack: Pack) -> None:
    limits = {"maxSamplingRatio": 0.5}
    assert [found.policy for found in pack.violations(stack(ORDERS), limits=limits)] == ["limits"]
    of_stack = {"capture": {"sampling_ratio": 0.1}}
    assert pack.violations(stack(ORDERS, **of_stack), limits=limits) == []
    assert [
        found.policy
        for found in pack.violations(stack(capturing(sampling_ratio=1), **of_stack), limits=limits)
    ] == ["limits"]


def test_the_limits_of_a_pack_without_configuration_are_those_of_the_settings(pack: Pack) -> None:
    [most] = [item.le for item in Capture.model_fields["max_body_bytes"].metadata if hasattr(item, "le")]
    assert pack.violations(stack(capturing(sampling_ratio=1, max_body_bytes=most))) == []
    [schema] = [policy.configSchema for policy in pack.info().policies if policy.name == "limits"]
    defaults = {key: value["default"] for key, value in schema.properties.items()}
    assert defaults == {"maxSamplingRatio": 1, "maxBodyBytes": most}


@pytest.mark.parametrize(
    ("build", "name"), [(stack(ORDERS, **OUTSIDE), "t"), (workload(**OUTSIDE), "w"), (egress(**OUTSIDE), "e")]
)
def test_a_collector_outside_of_the_mesh_in_plain_text_is_refused_once(
    pack: Pack, build: Build, name: str
) -> None:
    [violation] = pack.violations(build)
    assert violation[:2] == ("collector", name)
    assert violation.message == (
        "collectorUrl: got 'http://collector.example.com:4318', which takes captured traffic out of the mesh "
        "in plain text: use an https URL"
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://collector.evil.example.com:4318",
        "http://evil.com:4318",
        "http://collector.evil:4318",
        "http://a.xn--p1ai:4318",
        "http://svc.cluster.local.evil.com:4318",
        "http://otel.obs.svc.cluster.local.evil.com:4318",
        "http://otel.obs.svc.evil.com:4318",
        "http://notsvc.cluster.local:4318",
        "http://8.8.8.8:4318",
        "http://100.64.0.1:4318",
        "http://169.254.169.254:4318",
        "http://[2001:4860:4860::8888]:4318",
        "http://[::ffff:8.8.8.8]:4318",
        "http://[64:ff9b::808:808]:4318",
        "http://[fe80::1]:4318",
    ],
)
@pytest.mark.parametrize("egress", [{}, {"location": "mesh"}, {"create": False}])
def test_what_may_be_outside_of_the_cluster_is_refused_in_plain_text(
    pack: Pack, url: str, egress: dict[str, Any]
) -> None:
    [violation] = pack.violations(stack(ORDERS, collector_url=url, egress=egress))
    assert violation[:2] == ("collector", "t")


@pytest.mark.parametrize(
    "url",
    [
        "http://astra-traffic-collector.astra-collector:4318",
        "http://otel.obs2:4318",
        "http://otel.obs.svc:4318",
        "http://otel.obs.svc.cluster.local:4318",
        "http://otel-0.otel.obs.svc.cluster.local:4318",
        "http://10.1.2.3:4318",
        "http://172.31.0.1:4318",
        "http://192.168.0.9:4318",
        "http://[fd00::7]:4318",
        "http://[::ffff:10.0.0.7]:4318",
        "http://127.0.0.1:4318",
    ],
)
def test_what_can_only_be_inside_of_the_cluster_is_allowed_in_plain_text(pack: Pack, url: str) -> None:
    assert pack.violations(stack(ORDERS, collector_url=url)) == []


def test_a_service_of_a_cluster_with_another_domain_is_allowed_in_plain_text(pack: Pack) -> None:
    url = "http://otel.obs.svc.acme.corp:4318"
    assert pack.violations(stack(ORDERS, collector_url=url, egress={"cluster_domain": "acme.corp"})) == []


def test_the_domain_of_the_cluster_makes_nothing_inside_that_the_package_declares(pack: Pack) -> None:
    url = "http://otel-0.otel.obs.svc.evil.com:4318"
    [violation] = pack.violations(stack(ORDERS, collector_url=url, egress={"cluster_domain": "evil.com"}))
    assert violation[:2] == ("collector", "t")


def test_a_short_name_that_may_be_a_public_one_is_told_the_name_that_cannot(pack: Pack) -> None:
    [violation] = pack.violations(egress(collector_url="http://otel.obs:4318/v1/x"))
    assert violation.message.endswith(
        "use an https URL, or a Service's full name, http://otel.obs.svc.cluster.local:4318"
    )


def test_a_collector_outside_of_the_mesh_is_allowed_through_tls(pack: Pack) -> None:
    settings = {"collector_url": "https://collector.example.com"}
    assert pack.violations(stack(ORDERS, **settings)) == []
    assert pack.violations(egress(**settings)) == []


@pytest.mark.parametrize(("build", "name"), [(stack(ORDERS), "t"), (workload(), "w")])
def test_a_sensor_that_is_not_known_is_refused_once(pack: Pack, build: Build, name: str) -> None:
    other = "00000000-0000-4000-8000-000000000001"
    assert pack.violations(build, sensor={"sensorIds": [other]}) == [
        Violation(
            "sensor",
            name,
            f"sensorId: got {SENSOR_ID!r}, expected one of the organisation's 1 sensors",
        )
    ]
    assert pack.violations(build, sensor={"sensorIds": [other, SENSOR_ID.upper()]}) == []


def test_a_capture_script_outside_of_the_components_is_refused(pack: Pack) -> None:
    def copied(annotations: dict[str, str]) -> Build:
        return lambda: CustomResource(
            "copy",
            api_version="networking.istio.io/v1alpha3",
            kind="EnvoyFilter",
            metadata={"name": "copy", "namespace": "shop", "annotations": annotations},
            spec={"configPatches": []},
        )

    [violation] = pack.violations(copied({"astra.security/capture-script-sha256": "0" * 64}))
    assert violation[:2] == ("component", "copy")
    assert violation.message.endswith("use the component")
    assert pack.violations(copied({"example.com/other": "x"})) == []


@pytest.mark.parametrize("mechanism", ["EnvoyFilter", "TrafficExtension"])
def test_a_copied_script_without_its_annotation_is_refused_too(pack: Pack, mechanism: str) -> None:
    workloads = {"w": {**ORDERS, "mechanism": mechanism}}
    manifests = lab_stack.manifests(workloads=workloads)
    [original] = [manifest for manifest in manifests if manifest["kind"] == mechanism]

    def build() -> None:
        CustomResource(
            "copy",
            api_version=original["apiVersion"],
            kind=mechanism,
            metadata={"name": "copy", "namespace": "shop"},
            spec=original["spec"],
        )

    [violation] = pack.violations(build)
    assert violation[:2] == ("component", "copy")


@pytest.mark.parametrize("mechanism", ["EnvoyFilter", "TrafficExtension"])
def test_the_objects_of_the_components_are_allowed(pack: Pack, mechanism: str) -> None:
    assert pack.violations(stack({**ORDERS, "mechanism": mechanism})) == []


def test_what_the_settings_do_not_take_is_told_and_not_passed(pack: Pack) -> None:
    # Such as a program that uses a newer release of the package than the pack.
    pack.configure({})
    request = asked({"namespace": "shop", "labels": {"app": "w"}, "newer": 1})
    diagnostics = pack.stub.Analyze(request).diagnostics
    assert {diagnostic.policyName for diagnostic in diagnostics} == {"redaction", "limits"}
    assert all("cannot be checked: newer: unknown key" in diagnostic.message for diagnostic in diagnostics)


def test_the_pack_says_what_it_demands_and_what_can_be_configured(pack: Pack) -> None:
    info = pack.info()
    assert (info.name, info.supportsConfig) == ("astra-istio", True)
    assert {policy.name: sorted(policy.configSchema.properties.fields) for policy in info.policies} == {
        "selector": [],
        "redaction": ["reasons"],
        "limits": ["maxBodyBytes", "maxSamplingRatio"],
        "collector": [],
        "sensor": ["sensorIds"],
        "component": [],
    }
    assert all(policy.enforcementLevel == analyzer_pb2.MANDATORY for policy in info.policies)


def test_the_documentation_names_every_policy_and_its_configuration(pack: Pack) -> None:
    first_section = DOCUMENTATION.read_text("utf-8").partition("\n## ")[0]
    rows = [line.split("|") for line in first_section.splitlines() if line.startswith("| `")]
    documented = {row[1].strip(" `"): set(re.findall(r"`(\w+)`", row[3])) for row in rows}
    assert documented == {
        policy.name: set(policy.configSchema.properties.fields) for policy in pack.info().policies
    }
