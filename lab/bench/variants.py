"""What is compared: Envoys that differ in one thing, and the sinks around them."""

import base64
import copy
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lab import bootstrap, stack
from lab.bootstrap import Json, Listener
from lab.server import LOOPBACK

from .processor import Processor

LISTENER = "inbound"

NO_FILTER = "no filter"
EMPTY = "empty Lua handlers"
UNSAMPLED = "ours, unsampled"
OVER_BUDGET = "ours, over budget"
TRACER = "Envoy's OTel tracer"
OURS = "ours"
UNMASKED = "ours, no redaction"
JSON_ENCODED = "ours, as JSON"
PROCESSED = "an external processor"
PROCESSED_ENVOY = "the same, Envoy alone"
GUIDE = "the guide's script"
API = "Envoy's API alone"

_WORKLOAD = bootstrap.Workload("default", {"app": "productpage"})
_STACK = {
    "collectorUrl": "http://astra-traffic-collector.astra-collector:4318/v1/traces",
    "workloads": {"productpage": {"namespace": _WORKLOAD.namespace, "labels": dict(_WORKLOAD.labels)}},
}
_COLLECTOR_CLUSTER = "outbound|4318||astra-traffic-collector.astra-collector"
_PROCESSOR_CLUSTER = "processor"
_NOWHERE = 1  # a port that nothing is sent to
_EMPTY_SCRIPT = "function envoy_on_request(handle) end function envoy_on_response(handle) end"
_DOCUMENT = '{"user": "jane", "items": [%s], "comment": "%s"}'
_WARES = ("espresso", "machine", "grinder", "kettle", "filter", "cup", "saucer", "spoon", "tray", "jug")
_GUIDE_SCRIPT = stack.PROJECT / "lab" / "data" / "guide.lua"
_API_SCRIPT = stack.PROJECT / "lab" / "data" / "api.lua"

# OTLP over HTTP, like ours. What is not set is Envoy's default: an export at 5 spans or after 5 s.
_TRACING = {
    "random_sampling": {"value": 100},
    "provider": {
        "name": "envoy.tracers.opentelemetry",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig",
            "service_name": "productpage",
            "http_service": {
                "http_uri": {"uri": _STACK["collectorUrl"], "cluster": _COLLECTOR_CLUSTER, "timeout": "5s"}
            },
        },
    },
}

# As connectors of other vendors use it: Envoy sends copies of headers and bodies, and waits for no answer.
# By default Envoy keeps a finished call for 5 s, which adds up to the limits of the cluster.
_PROCESSED = {
    "name": "envoy.filters.http.ext_proc",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor",
        "grpc_service": {"envoy_grpc": {"cluster_name": _PROCESSOR_CLUSTER}},
        "observability_mode": True,
        "deferred_close_timeout": "0.1s",
        "processing_mode": {
            "request_header_mode": "SEND",
            "response_header_mode": "SEND",
            "request_body_mode": "STREAMED",
            "response_body_mode": "STREAMED",
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
        exports: whether it sends requests to its receiver.
        manifests: decide its clusters and its capture filter.
        filters: more HTTP filters.
        connection_manager: more settings of its HTTP connection manager.
        processor: what works for it in a process of its own.
    """

    name: str
    exports: bool
    manifests: Sequence[Json]
    filters: Sequence[Json] = ()
    connection_manager: Json = field(default_factory=dict)
    processor: Processor | None = None

    @property
    def receiver(self) -> str:
        """The cluster that its spans go to, or what it sends instead."""
        return _PROCESSOR_CLUSTER if self.processor else _COLLECTOR_CLUSTER

    def bootstrap(self, *, app_port: int, collector_port: int, listeners: int = 1) -> Json:
        """Its configuration, in front of the sinks, with a filter chain for each of the listeners."""
        config = bootstrap.build(
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
        if self.processor:
            config["static_resources"]["clusters"].append(_processor_cluster(self.processor.port))
        return config


class Answer(NamedTuple):
    """What a sink answers.

    Attributes:
        content: the body.
        encoding: how it is compressed; None if it is not.
    """

    content: bytes
    encoding: str | None = None


def compared(processor: Processor | None) -> list[Variant]:
    """All variants, in the order in which they run; the external processor's only where that runs."""
    variants = [
        no_filter(),
        _without_capture(EMPTY, filters=[_lua(_EMPTY_SCRIPT)]),
        ours(UNSAMPLED, samplingRatio=0),
        # The bodies' sizes in the paths look like ids, so all requests of a minute are one endpoint's.
        ours(OVER_BUDGET, maxSpansPerEndpoint=1),
        _without_capture(TRACER, exports=True, connection_manager={"tracing": _TRACING}),
        ours(OURS),
        ours(UNMASKED, redaction={"mode": "none"}),
        ours(JSON_ENCODED, export={"encoding": "json"}),
        _without_capture(GUIDE, exports=True, filters=[_lua(_GUIDE_SCRIPT.read_text())]),
    ]
    if processor:
        variants.append(_without_capture(PROCESSED, exports=True, filters=[_PROCESSED], processor=processor))
    return variants


def no_filter() -> Variant:
    """What all others are compared with."""
    return _without_capture(NO_FILTER)


def ours(name: str, **capture: Any) -> Variant:
    """The rendered filter.

    Args:
        name: of the variant.
        capture: settings beside the defaults.
    """
    manifests = stack.manifests(**_STACK, capture=capture)
    return Variant(name, exports=capture.get("samplingRatio") != 0, manifests=manifests)


def api_alone(name: str = API) -> Variant:
    """Just the calls into Envoy that no capturing filter can do without, in the place of ours.

    Its requests to the collector have as many bytes as it has read, but no spans.
    """
    script = _API_SCRIPT.read_text()
    return Variant(name, exports=True, manifests=with_scripts(ours(OURS).manifests, lambda _: script))


def with_scripts(manifests: Sequence[Json], change: Callable[[str], str]) -> list[Json]:
    """The manifests with other capture scripts.

    Args:
        manifests: of `ours`.
        change: makes the other script of a rendered one.
    """
    changed = copy.deepcopy(list(manifests))
    for manifest in changed:
        for patch in manifest["spec"].get("configPatches", ()):
            source = patch["patch"]["value"]["typed_config"]["default_source_code"]
            source["inline_string"] = change(source["inline_string"])
    return changed


def _without_capture(name: str, *, exports: bool = False, **settings: Any) -> Variant:
    """A variant without our filter, and without our DestinationRule: nothing of the others declares one."""
    egress = [manifest for manifest in stack.manifests(**_STACK) if manifest["kind"] == "ServiceEntry"]
    return Variant(name, exports=exports, manifests=egress, **settings)


def sinks(answers: Mapping[str, Answer]) -> Json:
    """The configuration of an Envoy with two listeners: ``app``, the application, and ``collector``.

    Args:
        answers: the application's JSON, by path.
    """
    return bootstrap.build(
        [],
        workload=_WORKLOAD,
        listeners=[_sink("app", answers), _sink("collector", {"/v1/traces": Answer(b"{}")})],
        app_port=_NOWHERE,
        collector_port=_NOWHERE,
    )


def document(size: int, number: int = 0) -> str:
    """A JSON document as an API would send it, with escapes and without secrets.

    It is the same in every run, and so varied that gzip makes about a tenth of a large one.

    Args:
        size: bytes, 100 or more.
        number: each makes a document of its own.
    """
    choice = random.Random(number)
    items: list[str] = []
    left = size - len(_DOCUMENT % ("", ""))
    while len(item := _item(len(items) + 1, choice)) + len(", ") <= left:
        items.append(item)
        left -= len(item) + len(", ")
    all_items = ", ".join(items)
    return _DOCUMENT % (all_items, "y" * (size - len(_DOCUMENT % (all_items, ""))))


def _item(number: int, choice: random.Random) -> str:
    name, price = " ".join(choice.choices(_WARES, k=2)), choice.randrange(100, 100_000) / 100
    return json.dumps({"id": number, "name": name, "price": price, "note": 'says "hello"\nand waves'})


def _lua(script: str) -> Json:
    return {
        "name": "envoy.filters.http.lua",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
            "default_source_code": {"inline_string": script},
        },
    }


def _processor_cluster(port: int) -> Json:
    """A cluster without limits, as a call that does not get through costs Envoy nothing."""
    options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    address = {"socket_address": {"address": LOOPBACK, "port_value": port}}
    limits = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests"), 2**32 - 1)
    return {
        "name": _PROCESSOR_CLUSTER,
        "type": "STATIC",
        "typed_extension_protocol_options": {
            options: {
                "@type": f"type.googleapis.com/{options}",
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        },
        "circuit_breakers": {"thresholds": [limits]},
        "load_assignment": {
            "cluster_name": _PROCESSOR_CLUSTER,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }


def _sink(name: str, answers: Mapping[str, Answer]) -> Listener:
    routes = [
        {
            "match": {"path": path},
            "direct_response": {
                "status": 200,
                "body": {"inline_bytes": base64.b64encode(answer.content).decode()},
            },
            "response_headers_to_add": [
                _response_header("content-type", "application/json"),
                *([_response_header("content-encoding", answer.encoding)] if answer.encoding else []),
            ],
        }
        for path, answer in answers.items()
    ]
    route_config = {
        "name": name,
        "virtual_hosts": [{"name": name, "domains": ["*"], "routes": routes}],
        "max_direct_response_body_size_bytes": max(len(answer.content) for answer in answers.values()),
    }
    return Listener(name, filters_before=[_AWAIT_BODY], connection_manager={"route_config": route_config})


def _response_header(name: str, value: str) -> Json:
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
