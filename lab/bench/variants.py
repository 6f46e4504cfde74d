"""What is compared: Envoys that differ in one thing, and the sinks around them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lab import bootstrap, stack
from lab.bootstrap import Json, Listener

LISTENER = "inbound"
COLLECTOR_CLUSTER = "outbound|4318||astra-traffic-collector.astra-collector"

NO_FILTER = "no filter"
EMPTY = "empty Lua handlers"
UNSAMPLED = "ours, unsampled"
OVER_BUDGET = "ours, over budget"
TRACER = "Envoy's OTel tracer"
OURS = "ours"
UNMASKED = "ours, no redaction"
GUIDE = "the guide's script"

_WORKLOAD = bootstrap.Workload("default", {"app": "productpage"})
_STACK = {
    "collectorUrl": "http://astra-traffic-collector.astra-collector:4318/v1/traces",
    "workloads": {"productpage": {"namespace": _WORKLOAD.namespace, "labels": dict(_WORKLOAD.labels)}},
}
_NOWHERE = 1  # a port that nothing is sent to
_EMPTY_SCRIPT = "function envoy_on_request(handle) end function envoy_on_response(handle) end"
_GUIDE_SCRIPT = stack.PROJECT / "lab" / "data" / "guide.lua"

# OTLP over HTTP, like ours. What is not set is Envoy's default: an export at 5 spans or after 5 s.
_TRACING = {
    "random_sampling": {"value": 100},
    "provider": {
        "name": "envoy.tracers.opentelemetry",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig",
            "service_name": "productpage",
            "http_service": {
                "http_uri": {"uri": _STACK["collectorUrl"], "cluster": COLLECTOR_CLUSTER, "timeout": "5s"}
            },
        },
    },
}

# A direct response does not wait for the request's body, and would close the connection.
_AWAIT_BODY = {
    "name": "envoy.filters.http.buffer",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer",
        "max_request_bytes": 20 * 1024 * 1024,
    },
}


@dataclass(frozen=True)
class Variant:
    """One Envoy.

    Attributes:
        name: in every table and plot.
        exports: whether it sends spans.
        manifests: decide its clusters and its capture filter.
        filters: more HTTP filters.
        connection_manager: more settings of its HTTP connection manager.
    """

    name: str
    exports: bool
    manifests: Sequence[Json]
    filters: Sequence[Json] = ()
    connection_manager: Json = field(default_factory=dict)

    def bootstrap(self, *, app_port: int, collector_port: int, listeners: int = 1) -> Json:
        """Its configuration, in front of the sinks, with a filter chain for each of the listeners."""
        return bootstrap.build(
            self.manifests,
            workload=_WORKLOAD,
            listeners=[
                Listener(
                    f"{LISTENER}-{number}",
                    filters_before=self.filters,
                    connection_manager=self.connection_manager,
                )
                for number in range(listeners)
            ],
            app_port=app_port,
            collector_port=collector_port,
        )


def compared() -> list[Variant]:
    """All variants, in the order in which they run.

    The guide's script and the tracer have no DestinationRule, as nothing of theirs declares one.
    """
    ours = _manifests()
    egress = [manifest for manifest in ours if manifest["kind"] == "ServiceEntry"]
    return [
        Variant(NO_FILTER, exports=False, manifests=egress),
        Variant(EMPTY, exports=False, manifests=egress, filters=[_lua(_EMPTY_SCRIPT)]),
        Variant(UNSAMPLED, exports=False, manifests=_manifests(samplingRatio=0)),
        # The bodies' sizes in the paths look like ids, so all requests of a minute are one endpoint's.
        Variant(OVER_BUDGET, exports=True, manifests=_manifests(maxSpansPerEndpoint=1)),
        Variant(TRACER, exports=True, manifests=egress, connection_manager={"tracing": _TRACING}),
        Variant(OURS, exports=True, manifests=ours),
        Variant(UNMASKED, exports=True, manifests=_manifests(redaction={"mode": "none"})),
        Variant(GUIDE, exports=True, manifests=egress, filters=[_lua(_GUIDE_SCRIPT.read_text())]),
    ]


def sinks(answers: Mapping[str, str]) -> Json:
    """The configuration of an Envoy with two listeners: ``app``, the application, and ``collector``.

    Args:
        answers: the application's JSON, by path.
    """
    return bootstrap.build(
        [],
        workload=_WORKLOAD,
        listeners=[_sink("app", answers), _sink("collector", {"/v1/traces": "{}"})],
        app_port=_NOWHERE,
        collector_port=_NOWHERE,
    )


def document(size: int) -> str:
    """A JSON document as an API would send it, with escapes and without secrets.

    Args:
        size: bytes, 100 or more.
    """
    note = 'says "hello"\nand waves'
    items: list[Json] = []
    text = ""
    while len(longer := json.dumps({"user": "jane", "items": items, "comment": ""})) <= size:
        text = longer
        items.append({"id": len(items) + 1, "name": "Espresso machine", "price": 249.5, "note": note})
    return text.removesuffix('"}') + "y" * (size - len(text)) + '"}'


def _manifests(**capture: Any) -> list[Json]:
    return stack.manifests(**_STACK, capture=capture)


def _lua(script: str) -> Json:
    return {
        "name": "envoy.filters.http.lua",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
            "default_source_code": {"inline_string": script},
        },
    }


def _sink(name: str, answers: Mapping[str, str]) -> Listener:
    content_type = {
        "header": {"key": "content-type", "value": "application/json"},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }
    routes = [
        {
            "match": {"path": path},
            "direct_response": {"status": 200, "body": {"inline_string": answer}},
            "response_headers_to_add": [content_type],
        }
        for path, answer in answers.items()
    ]
    route_config = {
        "name": name,
        "virtual_hosts": [{"name": name, "domains": ["*"], "routes": routes}],
        "max_direct_response_body_size_bytes": max(map(len, answers.values())),
    }
    return Listener(name, filters_before=[_AWAIT_BODY], connection_manager={"route_config": route_config})
