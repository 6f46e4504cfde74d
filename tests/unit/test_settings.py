"""Settings from a stack's configuration: what is accepted, and what is said about what is not."""

import json
import re
from collections.abc import Collection
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from components.rules.check import check
from components.settings.defaults import GUIDE_HEADERS
from components.settings.models import Capture, Export, Limits, Redaction, TrafficCaptureSettings
from components.settings.validation import SettingsError, Spelling, parse, shown, spelled
from components.stack_config import stack_config

SENSOR_ID = "5f0a3c1e-8f5b-4b0e-9c55-0d9f3c1b2a77"
URL = "http://astra-traffic-collector.astra-collector:4318/v1/traces"
A_UUID = "the sensor's UUID, such as 12345678-9abc-4def-8123-456789abcdef"
A_NAMESPACE = "a namespace: at most 63 of a-z, 0-9 and '-', no '-' at an end"
A_NAME = "a Kubernetes name: at most 253 of a-z, 0-9, '-' and '.'"
NO_EGRESS = "egress: got nothing, expected a mapping, with keys such as create, name, namespace"
A_WORKLOAD_NAME = "a name: at most 229 of a-z, 0-9, '-' and '.'"
A_LABEL_KEY = (
    "a label key: at most 63 of A-Z, a-z, 0-9, '-', '_' and '.', after an optional DNS prefix and '/'"
)
A_LABEL_VALUE = (
    "a label value, in quotes if it looks like a number or a date: at most 63 of A-Z, a-z, 0-9, '-', '_' "
    "and '.'"
)
SOME_DIRECTIONS = "a list: inbound, outbound or both, each once; or gateway alone"
A_URL = "a URL such as http://astra-traffic-collector.astra-collector.svc.cluster.local:4318"


def config(**changes: Any) -> dict[str, str]:
    """A stack's configuration as the engine hands it over; None leaves a key out."""
    values = {"sensorId": SENSOR_ID, "collectorUrl": URL, "workloads": {"w": {"namespace": "n"}}, **changes}
    return {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in values.items()
        if value is not None
    }


def workload(**changes: Any) -> dict[str, str]:
    return config(workloads={"w": {"namespace": "n", **changes}})


A_HEADER_NAME = (
    "a header name, such as x-request-id ('*' stands for nothing here: each header that is to leave the "
    "proxy, or to be masked, is named)"
)
WORDS = (
    "one to three words of any script with single spaces, such as 'api key': two letters or more, at most "
    "128 characters"
)


def capture(**changes: Any) -> dict[str, str]:
    return config(capture=changes)


def egress(**changes: Any) -> dict[str, str]:
    return config(egress=changes)


def accepted(stack: dict[str, str], secrets: Collection[str] = (), **others: str) -> TrafficCaptureSettings:
    """The settings from a stack of the project acme; ``others`` are keys of other namespaces."""
    keys = {f"acme:{key}": value for key, value in stack.items()}
    return stack_config({**keys, **others}, {f"acme:{key}" for key in secrets}, "acme").settings


def problems(stack: dict[str, str], secrets: Collection[str] = (), **others: str) -> list[str]:
    with pytest.raises(SettingsError) as refusal:
        accepted(stack, secrets, **others)
    return list(refusal.value.problems)


BAD: dict[str, tuple[dict[str, str], list[str]]] = {
    "nothing at all": (
        {},
        [
            f"collectorUrl: missing, expected {A_URL}",
            f"sensorId: missing, expected {A_UUID}",
            "workloads: missing, expected a mapping with at least 1 entry",
        ],
    ),
    "sensor ID: no UUID": (config(sensorId="acme"), [f"sensorId: got 'acme', expected {A_UUID}"]),
    "sensor ID: empty": (config(sensorId=""), [f"sensorId: got '', expected {A_UUID}"]),
    "sensor ID: without dashes": (
        config(sensorId=SENSOR_ID.replace("-", "")),
        [f"sensorId: got '{SENSOR_ID.replace('-', '')}', expected {A_UUID}"],
    ),
    "sensor ID: in braces": (
        config(sensorId=f"{{{SENSOR_ID}}}"),
        [f"sensorId: got '{{{SENSOR_ID}}}', expected {A_UUID}"],
    ),
    "sensor ID: a URN": (
        config(sensorId=f"urn:uuid:{SENSOR_ID}"),
        [f"sensorId: got 'urn:uuid:{SENSOR_ID}', expected {A_UUID}"],
    ),
    "sensor ID: a newline after it": (
        config(sensorId=f"{SENSOR_ID}\n"),
        [f"sensorId: got '{SENSOR_ID}\\n', expected {A_UUID}, without blanks around it"],
    ),
    "URL: empty": (config(collectorUrl=""), [f"collectorUrl: got '', expected {A_URL}"]),
    "URL: another scheme": (
        config(collectorUrl="grpc://a.b:4317"),
        ["collectorUrl: got 'grpc://a.b:4317', expected an http:// or https:// URL"],
    ),
    "unknown key, nearly a known one": (
        config(sensorID=SENSOR_ID),
        ["sensorID: unknown key, did you mean sensorId?"],
    ),
    "unknown key, like none": (
        config(x="red"),
        ["x: unknown key, expected one of collectorUrl, egress, commonLabels, sensorId, workloads, capture"],
    ),
    "unknown key in Python's spelling": (
        capture(sampling_ratio=1),
        ["capture.sampling_ratio: unknown key, did you mean samplingRatio?"],
    ),
    "unknown key, deep down": (
        workload(capture={"export": {"timeout": 1}}),
        ["workloads.w.capture.export.timeout: unknown key, did you mean timeoutMs?"],
    ),
    "unknown key that belongs further inside, and is nearly one here": (
        capture(extraFields=["iban"]),
        ["capture.extraFields: unknown key, expected extraFields inside of redaction"],
    ),
    "unknown key that belongs further inside": (
        workload(samplingRatio=0.5, timeoutMs=1),
        [
            "workloads.w.samplingRatio: unknown key, expected samplingRatio inside of capture",
            "workloads.w.timeoutMs: unknown key, expected timeoutMs inside of capture.export",
        ],
    ),
    "unknown key that is a path": (
        config(**{"capture.samplingRatio": 0.5}),
        ['["capture.samplingRatio"]: unknown key, expected samplingRatio inside of capture'],
    ),
    "no workloads": (
        config(workloads={}),
        ["workloads: got {}, expected a mapping with at least 1 entry"],
    ),
    "workloads: no JSON": (
        config(workloads="productpage"),
        ["workloads: got 'productpage', expected a mapping with at least 1 entry"],
    ),
    "workloads: a list": (
        config(workloads=[{"namespace": "n"}]),
        ["workloads: got [{'namespace': 'n'}], expected a mapping with at least 1 entry"],
    ),
    "workloads: a list of what has names": (
        config(workloads=[{"name": "cart", "namespace": "shop"}]),
        [
            (
                "workloads: got [{'name': 'cart', 'namespace': 'shop'}], expected a mapping with at least "
                "1 entry, such as {cart: {namespace: shop}}"
            )
        ],
    ),
    "labels: a list of pairs": (
        workload(labels=[{"app": "foo"}, {"tier": "1"}]),
        [
            (
                "workloads.w.labels: got [{'app': 'foo'}, {'tier': '1'}], expected a mapping, "
                'such as {app: foo, tier: "1"}'
            )
        ],
    ),
    "one item where a list is expected": (
        workload(targetRefs={"kind": "Gateway", "name": "g"}, directions="outbound"),
        [
            (
                "workloads.w.targetRefs: got {'kind': 'Gateway', 'name': 'g'}, expected a list of 1 to 16 "
                "entries, such as [{kind: Gateway, name: g}]"
            ),
            f"workloads.w.directions: got 'outbound', expected {SOME_DIRECTIONS}, such as [outbound]",
        ],
    ),
    "several items in one text": (
        capture(skipPaths="/a, /b*"),
        [("capture.skipPaths: got '/a, /b*', expected a list of at most 256 entries, such as [/a, \"/b*\"]")],
    ),
    "a word for a list of choices that is none of them": (
        capture(redaction={"values": "all"}),
        ["capture.redaction.values: got 'all', expected a list of at most 4 entries"],
    ),
    "blanks around a value": (
        workload(namespace="n\u00a0"),
        [f"workloads.w.namespace: got 'n\\xa0', expected {A_NAMESPACE}, without blanks around it"],
    ),
    "units": (
        capture(maxBodyBytes="64Ki", samplingRatio="50%", export={"timeoutMs": "5s"}),
        [
            "capture.samplingRatio: got '50%', expected a number from 0 to 1, without a unit",
            "capture.maxBodyBytes: got '64Ki', expected a whole number from 0 to 262144, without a unit",
            "capture.export.timeoutMs: got '5s', expected a whole number from 1 to 60000, without a unit",
        ],
    ),
    "a choice in capitals, and one that is another thing": (
        config(capture={"redaction": {"mode": "MASK"}}, egress={"location": "MESH_INTERNAL"}),
        [
            "egress.location: got 'MESH_INTERNAL', expected one of mesh, external",
            "capture.redaction.mode: got 'MASK', expected one of mask, none, did you mean mask?",
        ],
    ),
    "placeholders": (
        config(sensorId="${SENSOR_ID}", collectorUrl="{{ .Values.url }}"),
        [
            (
                f"sensorId: got '${{SENSOR_ID}}', expected {A_UUID}: nothing fills in ${{SENSOR_ID}} here, "
                "write what it stands for"
            ),
            (
                "collectorUrl: got '{{ .Values.url }}', expected an http:// or https:// URL: nothing fills "
                "in {{ .Values.url }} here, write what it stands for"
            ),
        ],
    ),
    "labels: as kubectl writes them": (
        workload(labels="app=foo,tier=web"),
        ["workloads.w.labels: got 'app=foo,tier=web', expected a mapping, such as {app: foo, tier: web}"],
    ),
    "common labels: as kubectl writes them": (
        config(commonLabels="team=a"),
        ["commonLabels: got 'team=a', expected a mapping, such as {team: a}"],
    ),
    "labels: other text": (workload(labels="foo"), ["workloads.w.labels: got 'foo', expected a mapping"]),
    "targets: none and too many": (
        config(
            workloads={
                "none": {"namespace": "n", "targetRefs": []},
                "many": {"namespace": "n", "targetRefs": [{"kind": "Gateway", "name": "g"}] * 17},
            }
        ),
        [
            "workloads.none.targetRefs: got [], expected a list of 1 to 16 entries",
            (
                "workloads.many.targetRefs: got [{'kind': 'Gateway', 'name': 'g'}, "
                "{'kind': 'Gateway', 'name': 'g'}, {'kind': '…, expected a list of 1 to 16 entries"
            ),
        ],
    ),
    "URL: blanks at its end": (
        config(collectorUrl=f"{URL} "),
        [f"collectorUrl: got '{URL} ', expected no blanks around it"],
    ),
    "URL: a line break": (
        config(collectorUrl="http://a.b:4318\n"),
        ["collectorUrl: got 'http://a.b:4318\\n', expected no blanks around it"],
    ),
    "TLS: a file beside an http URL": (
        egress(tls={"caCertificates": "/etc/ca.pem", "sni": "otel"}),
        [
            "egress.tls.sni: got 'otel', expected an https URL with it",
            "egress.tls.caCertificates: got '/etc/ca.pem', expected an https URL with it",
        ],
    ),
    "TLS: nothing beside an http URL": (
        egress(tls={}),
        ["egress.tls: got {}, expected an https URL with it"],
    ),
    "TLS: a mode beside an http URL": (
        egress(tls={"mode": "SIMPLE"}),
        ["egress.tls.mode: got 'SIMPLE', expected an https URL with it"],
    ),
    "a workload: nothing": (
        config(workloads={"w": None}),
        ["workloads.w: got nothing, expected a mapping, with keys such as namespace, labels, targetRefs"],
    ),
    "workloads: nothing, as the lines below are not indented": (
        config(workloads="null"),
        [
            (
                "workloads: got nothing, expected a mapping with at least 1 entry, its keys on the "
                "next lines, further in"
            )
        ],
    ),
    "labels: nothing": (
        workload(labels=None),
        [
            (
                "workloads.w.labels: got nothing, expected a mapping, its keys on the next lines, "
                "further in; or {} for none"
            )
        ],
    ),
    "a group of settings: a word": (
        config(capture={"redaction": "off"}),
        ["capture.redaction: got 'off', expected a mapping, with keys such as mode, headers, fields"],
    ),
    "a list where one is expected": (
        config(workloads={"w": {"namespace": ["a", "b"]}}),
        [f"workloads.w.namespace: got ['a', 'b'], expected {A_NAMESPACE}, not a list"],
    ),
    "true and false in quotes": (
        capture(enabled="false"),
        ["capture.enabled: got 'false', expected true or false, without quotes"],
    ),
    "false for no limits": (
        egress(limits=False),
        ["egress.limits: got false, expected a mapping, or null"],
    ),
    "a certificate in the place of its path": (
        egress(tls={"caCertificates": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"}),
        [
            (
                "egress.tls.caCertificates: got '-----BEGIN ***', expected an absolute path in the proxy's "
                "container"
            )
        ],
    ),
    "a workload's name": (
        config(workloads={"Product_Page": {"namespace": "n"}}),
        [f"workloads.Product_Page: not a legal key, expected {A_WORKLOAD_NAME}"],
    ),
    "a workload's name: too long for the filter's": (
        config(workloads={"a" * 63 + (".b" + "b" * 62) * 3: {"namespace": "n"}}),
        [
            f'workloads["{"a" * 63 + (".b" + "b" * 62) * 3}"]: not a legal key, expected {A_WORKLOAD_NAME}',
        ],
    ),
    "namespace: missing": (
        config(workloads={"w": {}}),
        [f"workloads.w.namespace: missing, expected {A_NAMESPACE}"],
    ),
    "namespace: a number": (
        workload(namespace=1),
        [f"workloads.w.namespace: got 1, expected {A_NAMESPACE}"],
    ),
    "namespace: with a dot": (
        workload(namespace="a.b"),
        [f"workloads.w.namespace: got 'a.b', expected {A_NAMESPACE}"],
    ),
    "namespace: too long": (
        workload(namespace="a" * 64),
        [f"workloads.w.namespace: got '{'a' * 64}', expected {A_NAMESPACE}"],
    ),
    "label key": (
        workload(labels={"a b": "c"}),
        [f'workloads.w.labels["a b"]: not a legal key, expected {A_LABEL_KEY}'],
    ),
    "label key: bad prefix": (
        workload(labels={"Acme/app": "c"}),
        [f'workloads.w.labels["Acme/app"]: not a legal key, expected {A_LABEL_KEY}'],
    ),
    "label key: no name": (
        workload(labels={"acme.io/": "c"}),
        [f'workloads.w.labels["acme.io/"]: not a legal key, expected {A_LABEL_KEY}'],
    ),
    "label value: a number": (
        workload(labels={"version": 1}),
        [f"workloads.w.labels.version: got 1, expected {A_LABEL_VALUE}"],
    ),
    "label value: true": (
        workload(labels={"canary": True}),
        [f"workloads.w.labels.canary: got true, expected {A_LABEL_VALUE}"],
    ),
    "label value: illegal": (
        workload(labels={"app": "a/b"}),
        [f"workloads.w.labels.app: got 'a/b', expected {A_LABEL_VALUE}"],
    ),
    "labels: a list": (
        workload(labels=["app"]),
        ["workloads.w.labels: got ['app'], expected a mapping"],
    ),
    "directions: unknown": (
        workload(directions=["ingress"]),
        ["workloads.w.directions[0]: got 'ingress', expected one of inbound, outbound, gateway"],
    ),
    "directions: none": (
        workload(directions=[]),
        [f"workloads.w.directions: got [], expected {SOME_DIRECTIONS}"],
    ),
    "directions: twice": (
        workload(directions=["inbound", "inbound"]),
        [f"workloads.w.directions: got ['inbound', 'inbound'], expected {SOME_DIRECTIONS}"],
    ),
    "directions: a gateway has no sidecar listeners": (
        workload(directions=["gateway", "inbound"]),
        [f"workloads.w.directions: got ['gateway', 'inbound'], expected {SOME_DIRECTIONS}"],
    ),
    "directions: no list": (
        workload(directions="inbound"),
        [f"workloads.w.directions: got 'inbound', expected {SOME_DIRECTIONS}, such as [inbound]"],
    ),
    "mechanism": (
        workload(mechanism="WasmPlugin"),
        ["workloads.w.mechanism: got 'WasmPlugin', expected one of EnvoyFilter, TrafficExtension"],
    ),
    "mechanism: two scripts in a TrafficExtension": (
        workload(mechanism="TrafficExtension", directions=["inbound", "outbound"]),
        [
            (
                "workloads.w.directions: got inbound, outbound, expected one of them with TrafficExtension, "
                "which holds one script: make a workload of each"
            )
        ],
    ),
    "filter name": (workload(filterName="a_b"), [f"workloads.w.filterName: got 'a_b', expected {A_NAME}"]),
    "ratio: too much": (
        capture(samplingRatio=1.5),
        ["capture.samplingRatio: got 1.5, expected a number from 0 to 1"],
    ),
    "ratio: negative": (
        capture(samplingRatio=-0.1),
        ["capture.samplingRatio: got -0.1, expected a number from 0 to 1"],
    ),
    "ratio: text": (
        capture(samplingRatio="half"),
        ["capture.samplingRatio: got 'half', expected a number from 0 to 1"],
    ),
    "ratio: true": (
        capture(samplingRatio=True),
        ["capture.samplingRatio: got true, expected a number from 0 to 1"],
    ),
    "ratio: not a number": (
        capture(samplingRatio=float("nan")),
        ["capture.samplingRatio: got nan, expected a number from 0 to 1"],
    ),
    "ratio: infinite": (
        capture(samplingRatio=float("inf")),
        ["capture.samplingRatio: got inf, expected a number from 0 to 1"],
    ),
    "body bytes: too many": (
        capture(maxBodyBytes=262145),
        ["capture.maxBodyBytes: got 262145, expected a whole number from 0 to 262144"],
    ),
    "body bytes: a fraction": (
        capture(maxBodyBytes=0.5),
        ["capture.maxBodyBytes: got 0.5, expected a whole number from 0 to 262144"],
    ),
    "body bytes: true": (
        capture(maxBodyBytes=True),
        ["capture.maxBodyBytes: got true, expected a whole number from 0 to 262144"],
    ),
    "spans per second: none": (
        capture(maxSpansPerSecond=0),
        ["capture.maxSpansPerSecond: got 0, expected a whole number from 1 to 1000000, or null"],
    ),
    "header name": (
        capture(headers=["x-request-id", ":path"]),
        [f"capture.headers[1]: got ':path', expected {A_HEADER_NAME}"],
    ),
    "header name with a star": (
        capture(headers=["*"], extraHeaders=["x-*"], redaction={"extraHeaders": ["*-id"]}),
        [
            f"capture.headers[0]: got '*', expected {A_HEADER_NAME}",
            f"capture.extraHeaders[0]: got 'x-*', expected {A_HEADER_NAME}",
            f"capture.redaction.extraHeaders[0]: got '*-id', expected {A_HEADER_NAME}",
        ],
    ),
    "headers: one string": (
        capture(headers="accept"),
        ["capture.headers: got 'accept', expected a list of at most 512 entries, such as [accept]"],
    ),
    "content type": (
        capture(contentTypes=["*/*", "json", "text/html; charset=utf-8", "text/x-*"]),
        [
            "capture.contentTypes[0]: got '*/*', expected type/subtype, type/* or type/*+suffix",
            "capture.contentTypes[1]: got 'json', expected type/subtype, type/* or type/*+suffix",
            (
                "capture.contentTypes[2]: got 'text/html; charset=utf-8', expected type/subtype, type/* or "
                "type/*+suffix"
            ),
            "capture.contentTypes[3]: got 'text/x-*', expected type/subtype, type/* or type/*+suffix",
        ],
    ),
    "secret field": (
        capture(
            redaction={"fields": ["api_key"], "extraFields": ["x"], "keepFields": ["a  b"], "values": ["pin"]}
        ),
        [
            f"capture.redaction.fields[0]: got 'api_key', expected {WORDS}, did you mean 'api key'?",
            f"capture.redaction.extraFields[0]: got 'x', expected {WORDS}",
            f"capture.redaction.keepFields[0]: got 'a  b', expected {WORDS}, did you mean 'a b'?",
            "capture.redaction.values[0]: got 'pin', expected one of jwt, pem, card, key",
        ],
    ),
    "names as programs write them": (
        capture(redaction={"fields": ["customerId", "APIKey", "Customer-ID", "user.name", "sk_live_a1b2"]}),
        [
            f"capture.redaction.fields[0]: got 'customerId', expected {WORDS}, did you mean 'customer id'?",
            f"capture.redaction.fields[1]: got 'APIKey', expected {WORDS}, did you mean 'api key'?",
            f"capture.redaction.fields[2]: got 'Customer-ID', expected {WORDS}, did you mean 'customer id'?",
            f"capture.redaction.fields[3]: got 'user.name', expected {WORDS}, did you mean 'user name'?",
            f"capture.redaction.fields[4]: got 'sk_live_***', expected {WORDS}",
        ],
    ),
    "a phrase of four words": (
        capture(
            redaction={"keepFields": ["number of failed tokens"], "extraFields": ["numberOfFailedTokens"]}
        ),
        [
            f"capture.redaction.{field}[0]: got {value!r}, expected {WORDS}, as no more words of a name are "
            "compared at once: write the words that tell it from others"
            for field, value in (
                ("extraFields", "numberOfFailedTokens"),
                ("keepFields", "number of failed tokens"),
            )
        ],
    ),
    "path to skip": (
        capture(skipPaths=["static", "/a*b", "/a?b"]),
        [
            (
                "capture.skipPaths[0]: got 'static', expected a path that starts with '/' and has "
                "'*' at its end "
                "only"
            ),
            (
                "capture.skipPaths[1]: got '/a*b', expected a path that starts with '/' and has '*' "
                "at its end "
                "only"
            ),
            (
                "capture.skipPaths[2]: got '/a?b', expected a path that starts with '/' and has '*' "
                "at its end "
                "only"
            ),
        ],
    ),
    "spans of an endpoint": (
        capture(maxSpansPerEndpoint=0),
        ["capture.maxSpansPerEndpoint: got 0, expected a whole number from 1 to 1000000, or null"],
    ),
    "no host": (capture(hosts=[]), ["capture.hosts: got [], expected a list of 1 to 256 entries"]),
    "host: a URL": (
        capture(hosts=["https://shop.example.com/"]),
        [
            (
                "capture.hosts[0]: got 'https://shop.example.com/', expected '*', a host name without a "
                "port, or '*.' and a domain, did you mean 'shop.example.com'?"
            )
        ],
    ),
    "host": (
        capture(hosts=["*.*", "a.*.example.com", "shop.example.com:80", "*.example.com.", "[::1]:80"]),
        [
            f"capture.hosts[{index}]: got {host!r}, expected '*', a host name without a port, or '*.' and a "
            f"domain{meant}"
            for index, (host, meant) in enumerate(
                [
                    ("*.*", ""),
                    ("a.*.example.com", ""),
                    (
                        "shop.example.com:80",
                        ", did you mean 'shop.example.com'? Neither a port nor a dot at the end counts",
                    ),
                    (
                        "*.example.com.",
                        ", did you mean '*.example.com'? Neither a port nor a dot at the end counts",
                    ),
                    ("[::1]:80", ": an IPv6 address cannot be selected, only '*' has its requests captured"),
                ]
            )
        ],
    ),
    "method to skip": (
        capture(skipMethods=["options", "*"]),
        [
            f"capture.skipMethods[{index}]: got {method!r}, expected an HTTP method in upper case, such as "
            "OPTIONS"
            for index, method in enumerate(["options", "*"])
        ],
    ),
    "content type to skip": (
        capture(skipContentTypes=["image"]),
        ["capture.skipContentTypes[0]: got 'image', expected type/subtype, type/* or type/*+suffix"],
    ),
    "scheme": (capture(scheme=""), ["capture.scheme: got '', expected one of auto, http, https"]),
    "timeout": (
        capture(export={"timeoutMs": 0}),
        ["capture.export.timeoutMs: got 0, expected a whole number from 1 to 60000"],
    ),
    "scope name": (
        capture(scopeName="a\nb"),
        ["capture.scopeName: got 'a\\nb', expected 1 to 128 printable characters"],
    ),
    "egress: create": (egress(create="yes"), ["egress.create: got 'yes', expected true or false"]),
    "egress: name": (egress(name="A"), [f"egress.name: got 'A', expected {A_NAME}"]),
    "egress: location": (
        egress(location="cluster"),
        ["egress.location: got 'cluster', expected one of mesh, external"],
    ),
    "egress: exported to nobody": (
        egress(exportTo=[]),
        ["egress.exportTo: got [], expected a list with at least 1 entry"],
    ),
    "egress: exported to": (
        egress(exportTo=["n", "~"]),
        ["egress.exportTo[1]: got '~', expected '*', '.' or a namespace"],
    ),
    "egress: certificate": (
        egress(tls={"caCertificates": "ca.pem"}),
        ["egress.tls.caCertificates: got 'ca.pem', expected an absolute path in the proxy's container"],
    ),
    "egress: limits": (
        egress(limits={"maxConnections": 0}),
        ["egress.limits.maxConnections: got 0, expected a whole number from 1 to 1024"],
    ),
    "egress: null": (config(egress="null"), [NO_EGRESS]),
    "egress: nothing after the colon": (config(egress=""), [NO_EGRESS]),
    "common label": (
        config(commonLabels={"team": "a b"}),
        [f"commonLabels.team: got 'a b', expected {A_LABEL_VALUE}"],
    ),
    "a path with dots, as pulumi config set --path takes it": (
        config(workloads={"a.b": {"namespace": "N"}}),
        [f"workloads[\"a.b\"].namespace: got 'N', expected {A_NAMESPACE}"],
    ),
    "a long value is cut": (
        config(sensorId="x" * 500),
        [f"sensorId: got '{'x' * 78}…, expected {A_UUID}"],
    ),
    "several, in all parts, and between them": (
        config(
            sensorId="acme",
            collectorUrl="http://a.b/x",
            egress={"limits": {"maxConnection": 1}},
            capture={"samplingRatio": 2},
            workloads={
                "one": {"namespace": "n", "labels": {"app": "x"}},
                "two": {"namespace": "n", "labels": {"app": "x"}},
                "three": {"namespace": "N"},
            },
        ),
        [
            "egress.limits.maxConnection: unknown key, did you mean maxConnections?",
            f"sensorId: got 'acme', expected {A_UUID}",
            f"workloads.three.namespace: got 'N', expected {A_NAMESPACE}",
            "capture.samplingRatio: got 2, expected a number from 0 to 1",
            (
                "collectorUrl: got 'http://a.b/x', expected a port after the host (OTLP/HTTP's is "
                "4318): say the "
                "port"
            ),
            (
                "workloads.two.labels: selects pods that one selects, both inbound in namespace 'n': "
                "give them "
                "labels that differ in a value, or make them one workload"
            ),
        ],
    ),
}


@pytest.mark.parametrize(("stack", "expected"), BAD.values(), ids=BAD.keys())
def test_every_problem_is_one_line_with_key_value_and_what_was_expected(
    stack: dict[str, str], expected: list[str]
) -> None:
    assert problems(stack) == expected


def test_in_python_keys_are_told_in_pythons_spelling() -> None:
    bad: dict[str, Any] = {
        "sensor_id": SENSOR_ID,
        "collector_url": URL,
        "workloads": {"w": {"namespace": "n", "capture": {"samplingRatio": 2, "max_body_bytes": -1}}},
        "egress": {"tls": {"mode": "SIMPLE"}},
    }
    with pytest.raises(SettingsError) as refusal:
        check(TrafficCaptureSettings, bad)
    assert refusal.value.problems == (
        "workloads.w.capture.max_body_bytes: got -1, expected a whole number from 0 to 262144",
        "workloads.w.capture.samplingRatio: unknown key, did you mean sampling_ratio?",
        "egress.tls.mode: got 'SIMPLE', expected an https URL with it",
    )


def test_arguments_that_are_no_mapping_are_one_problem() -> None:
    nothing: Any = None
    with pytest.raises(
        SettingsError, match=r"^settings: got None, expected a mapping, with keys such as collector_url, "
    ):
        check(TrafficCaptureSettings, nothing)


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("sensorId", "a secret"),
        ("collectorUrl", "a secret"),
        ("workloads", "a secret in it"),
        ("egress", "a secret in it"),
    ],
)
def test_a_secret_is_refused_with_the_reason_and_without_its_value(key: str, found: str) -> None:
    [problem] = problems(config(egress={}), {key})
    assert problem.startswith(f"{key}: got {found}, expected ")
    assert problem.endswith(", in plain text: one secret in the script hides the whole script from review")
    assert SENSOR_ID not in problem


def test_a_secret_inside_of_an_object_is_refused_where_it_is_if_it_is_not_decrypted() -> None:
    tls = {"privateKey": {"secure": "AAABBB"}, "mode": "TLS"}
    told = problems(config(egress={"tls": tls}), {"egress"})
    assert told == [
        "egress.tls.mode: got 'TLS', expected one of SIMPLE, MUTUAL, ISTIO_MUTUAL",
        (
            "egress.tls.privateKey: got a secret, expected an absolute path in the proxy's container, in "
            "plain text: one secret in the script hides the whole script from review"
        ),
    ]


def test_a_key_of_ours_in_another_namespace_is_refused_with_the_right_one() -> None:
    others = {"acne:capture": "{}", "kubernetes:context": "kind"}
    told = ["acne:capture: nobody reads this key, did you mean acme:capture?"]
    assert problems(config(), **others) == told
    assert problems(config(sensorId="acme"), **others) == [*told, f"sensorId: got 'acme', expected {A_UUID}"]
    key = "kubernetes:egress"
    assert problems(config(**{key: "{}"})) == [
        f"acme:{key}: nobody reads this key, did you mean acme:egress?",
        (
            f'["{key}"]: unknown key, expected one of collectorUrl, egress, commonLabels, sensorId, '
            "workloads, capture"
        ),
    ]


@pytest.mark.parametrize(
    "url",
    [
        "http://user:hunter2@a.b:4318",
        "http://user:hun/ter2@a.b:4318",
        "http://hunter2@a.b:4318",
        "user:hunter2@a.b:4318",
        "https://user:hun#ter2@a.b",
        "https://user:hun?ter2@a.b",
        "https://user:hunter2%40a.b",
        "https://user:hun@ter2@a.b",
        "http://a.b:4318/x?token=hunter2",
        "http://a.b:4318/x#hunter2",
    ],
)
def test_what_may_be_a_password_in_a_url_is_not_repeated(url: str) -> None:
    [problem] = problems(config(collectorUrl=url))
    assert problem.startswith("collectorUrl: got ")
    assert "hun" not in problem
    assert "ter2" not in problem


@pytest.mark.parametrize(
    "value",
    [
        ["http://user:hunter2@a.b"],
        "user:hunter2@a.b",
        "hunter2%40a.b",
        {"url": "http://user:hun/ter2@a.b", "x": ["https://u:hunter2@h"]},
        {"apiKey": "hunter2"},
        {"db_password": "hunter2"},
        "https://a.b/x?token=hunter2",
        "Bearer hunter2",
        "authorization: Basic hunter2",
        "-----BEGIN PRIVATE KEY-----\nhunter2",
        "eyJhbGciOiJub25lIn0.hunter2.",
        "sk_live_hunter2",
        "ghp_hunter2",
        "xoxb-hunter2",
        "AKIAhunter2",
    ],
    ids=str,
)
def test_what_may_be_a_secret_is_not_repeated(value: object) -> None:
    assert not re.search("hun|ter2", shown(value))


@pytest.mark.parametrize(
    "stack",
    [
        config(sensorId="<ghp_hunter2>"),
        config(collectorUrl="${KEY:-sk_live_hunter2}"),
        capture(headers="ghp_hunter2, host"),
        capture(headers={"password": "hunter2"}),
        workload(labels=[{"token": "hunter2"}]),
        workload(labels=[{"name": "a", "secret": "hunter2"}]),
    ],
)
def test_what_may_be_a_secret_is_not_repeated_in_what_may_have_been_meant(stack: dict[str, str]) -> None:
    assert not re.search("hun|ter2", "\n".join(problems(stack)))


@pytest.mark.parametrize("value", ["http://a.b:4318", "/static*", ["x-request-id"], 7, None, {"app": "w"}])
def test_what_is_none_is_repeated(value: object) -> None:
    assert shown(value) == repr(value)


def test_the_message_lists_all_problems() -> None:
    assert str(SettingsError(["a: b"])) == "a: b"
    assert str(SettingsError(["a: b", "c: d"])) == "2 problems in the settings:\n  a: b\n  c: d"


def test_a_sensor_id_may_be_in_upper_case() -> None:
    assert accepted(config(sensorId=SENSOR_ID.upper())).sensor_id == SENSOR_ID.upper()


def test_whole_numbers_may_come_as_floats_as_they_do_on_pulumis_wire() -> None:
    assert parse(Capture, {"maxBodyBytes": 10.0}, Spelling.CONFIG).max_body_bytes == 10


LEAST = [
    (model, name, item.ge)
    for model in (Capture, Export, Limits)
    for name, field in model.model_fields.items()
    for item in field.metadata
    if hasattr(item, "ge")
]
"""Every number among the settings, with the least that it may be."""


@pytest.mark.parametrize(("model", "name", "least"), LEAST)
def test_the_text_of_a_number_is_taken_as_the_number_as_pulumi_config_set_stores_it(
    model: type[BaseModel], name: str, least: int
) -> None:
    number = 0.5 if name == "sampling_ratio" else least + 7
    found = getattr(parse(model, {spelled(name, Spelling.CONFIG): str(number)}, Spelling.CONFIG), name)
    assert (found, type(found)) == (number, type(number))
    assert getattr(parse(model, {name: f"{number:e}"}, Spelling.PYTHON), name) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 1",
        "1 ",
        "1,5",
        "0x10",
        "1_000",
        "+1",
        ".5",
        "5.",
        "01",
        "0o7",
        "1e",
        "NaN",
        "Infinity",
        "true",
        "\u0661",
    ],
)
def test_other_text_is_no_number(text: str) -> None:
    for key, number in (("samplingRatio", "a number from 0 to 1"), ("maxBodyBytes", "a whole number from 0")):
        [problem] = problems(capture(**{key: text}))
        assert problem.startswith(f"capture.{key}: got {text!r}, expected {number}")


def test_the_text_of_a_number_has_the_numbers_bounds() -> None:
    assert problems(capture(samplingRatio="1.5", maxBodyBytes="1.5", maxPathBytes="1e400")) == [
        "capture.samplingRatio: got 1.5, expected a number from 0 to 1",
        "capture.maxBodyBytes: got 1.5, expected a whole number from 0 to 262144",
        "capture.maxPathBytes: got inf, expected a whole number from 64 to 65536",
    ]


def test_where_text_is_expected_a_number_is_refused_and_its_text_stays_text() -> None:
    assert accepted(workload(labels={"version": "1"})).workloads["w"].labels == {"version": "1"}
    assert problems(workload(labels={"version": 1})) != []
    assert problems(config(egress={"create": "1"})) == ["egress.create: got '1', expected true or false"]


def test_names_that_http_compares_without_case_are_kept_in_lower_case_and_once() -> None:
    given = {"headers": ["Accept", "accept", "X-Id"], "contentTypes": ["Text/HTML"]}
    found = parse(Capture, given, Spelling.CONFIG)
    assert found.headers == ["accept", "x-id"]
    assert found.content_types == ["text/html"]


def test_a_workload_overrides_the_stacks_capture_field_by_field_in_nested_settings_too() -> None:
    stack = Capture(
        sampling_ratio=0.5,
        max_spans_per_second=5,
        export=Export(timeout_ms=1, max_delay_ms=2),
        redaction=Redaction(fields=["iban"]),
    )
    own = Capture(sampling_ratio=1.0, max_spans_per_second=None, export=Export(max_delay_ms=3))
    both = stack.overridden_by(own)
    assert (both.sampling_ratio, both.max_spans_per_second) == (1.0, None)
    assert both.export == Export(timeout_ms=1, max_delay_ms=3)
    assert both.redaction.fields == ["iban"]
    assert both.headers == Capture().headers


@pytest.mark.parametrize("key", ["authorization", "cookie", "set-cookie", "x-istio-auth-userinfo"])
def test_credentials_are_masked_by_default(key: str) -> None:
    assert key in Capture().redaction.headers


LABEL_VALUES = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", fullmatch=True) | st.just("")
NAMESPACES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)


@given(LABEL_VALUES, NAMESPACES)
def test_every_legal_label_value_and_namespace_is_accepted(value: str, namespace: str) -> None:
    stack = workload(namespace=namespace, labels={"app.kubernetes.io/name": value})
    assert accepted(stack).workloads["w"].labels == {"app.kubernetes.io/name": value}


@given(st.text())
def test_no_other_label_value_is_accepted(value: str) -> None:
    # k8s.io/apimachinery, pkg/util/validation, IsValidLabelValue
    legal = len(value) <= 63 and re.fullmatch(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?", value)
    stack = workload(labels={"app": value})
    if legal:
        accepted(stack)
    else:
        assert problems(stack)[0].startswith("workloads.w.labels.app: got ")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(
    [
        "namespace",
        "labels",
        "directions",
        "mechanism",
        "filterName",
        "capture",
        "export",
        "redaction",
        "tls",
        "x",
    ]
)
OBJECTS = st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON, max_size=3), max_size=4)


@given(OBJECTS, OBJECTS, OBJECTS | JSON, st.text())
def test_whatever_is_configured_is_accepted_or_refused_in_one_line_each(
    workload: Any, capture: Any, egress: Any, url: str
) -> None:
    stack = config(workloads={"w": workload}, capture=capture, egress=egress, collectorUrl=url)
    told: tuple[str, ...] = ("accepted: fine",)
    try:
        accepted(stack)
    except SettingsError as refusal:
        told = refusal.problems
    assert told
    assert all(re.fullmatch(r"[^\n]+: [^\n]+", problem) for problem in told)


def test_the_header_allowlist_has_no_header_twice() -> None:
    assert len(GUIDE_HEADERS) == len(set(GUIDE_HEADERS)) == 94
