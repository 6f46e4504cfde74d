"""Collector URLs, row by row of the design's table, and what is refused."""

import ipaddress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from components.istio import manifests
from components.istio.endpoint import Collector, EndpointError, collector
from components.settings.models import Egress
from components.settings.validation import Spelling, parse

IDENTITY = manifests.Identity("entry", "istio-system", {})
POOL = {
    "tcp": {"maxConnections": 8},
    "http": {"h2UpgradePolicy": "DO_NOT_UPGRADE", "http1MaxPendingRequests": 32, "http2MaxRequests": 32},
}
UNLIMITED = {"http": {"h2UpgradePolicy": "DO_NOT_UPGRADE"}}
HTTP_4318 = {"number": 4318, "name": "http-otlp", "protocol": "HTTP"}
SYSTEM = {"caCertificates": "system"}
FILES = {"clientCertificate": "/c/cert.pem", "privateKey": "/c/key.pem"}


def named(host: str) -> dict[str, Any]:
    """What a certificate has to be for: with an SNI alone, Istio checks no name."""
    return {"sni": host, "subjectAltNames": [host]}


def at(url: str, **egress: Any) -> Collector:
    return collector(url, parse(Egress, egress, Spelling.CONFIG))


def specs(url: str, **egress: Any) -> dict[str, Any]:
    """What is declared for a URL: the kinds and their specs."""
    settings = parse(Egress, egress, Spelling.CONFIG)
    found = collector(url, settings)
    entry = manifests.service_entry(found, settings, IDENTITY)
    rule = manifests.destination_rule(found, settings, IDENTITY)
    return {manifest["kind"]: manifest["spec"] for manifest in (entry, rule)}


def refusals(url: str, **egress: Any) -> list[tuple[str, str]]:
    with pytest.raises(EndpointError) as refusal:
        at(url, **egress)
    return [(".".join(map(str, problem.path)), problem.text) for problem in refusal.value.problems]


def test_the_guides_url_gives_the_guides_entry_and_a_rule_with_limits() -> None:
    url = "http://astra-traffic-collector.astra-collector:4318/v1/traces"
    assert specs(url) == {
        "ServiceEntry": {
            "hosts": ["astra-traffic-collector.astra-collector"],
            "location": "MESH_INTERNAL",
            "ports": [HTTP_4318],
            "resolution": "DNS",
        },
        "DestinationRule": {
            "host": "astra-traffic-collector.astra-collector",
            "trafficPolicy": {"connectionPool": POOL},
        },
    }
    assert at(url).cluster == "outbound|4318||astra-traffic-collector.astra-collector"
    assert at(url).authority == "astra-traffic-collector.astra-collector"
    assert at(url).path == "/v1/traces"
    assert not at(url).tls


def test_a_kubernetes_service_gets_a_rule_for_its_port_only() -> None:
    url = "http://otel.obs.svc.cluster.local:4318/v1/traces"
    assert at(url).registry.name == "KUBERNETES"
    assert at(url).cluster == "outbound|4318||otel.obs.svc.cluster.local"
    assert specs(url)["DestinationRule"] == {
        "host": "otel.obs.svc.cluster.local",
        "trafficPolicy": {"portLevelSettings": [{"port": {"number": 4318}, "connectionPool": POOL}]},
    }


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_service_of_a_cluster_with_another_domain_is_known_to_the_mesh_already(scheme: str) -> None:
    found = at(f"{scheme}://otel.obs.svc.acme.corp:4318", clusterDomain="Acme.Corp")
    assert (found.registry.name, found.location, found.namespace) == ("KUBERNETES", "mesh", "obs")
    assert found.cluster == "outbound|4318||otel.obs.svc.acme.corp"
    assert found.hosts == ("otel.obs.svc.acme.corp", "otel.obs", "otel.obs.svc")


def test_in_a_cluster_with_another_domain_a_name_of_cluster_local_is_no_service() -> None:
    found = at("http://otel.obs.svc.cluster.local:4318", clusterDomain="acme.corp")
    assert (found.registry.name, found.namespace) == ("DNS", None)


@pytest.mark.parametrize("limits", [{}, None])
@pytest.mark.parametrize(
    "url",
    [
        "http://otel.obs.svc.cluster.local:4318",
        "http://otel.obs:4318",
        "https://a.example.com",
        "http://10.0.0.7:4318",
    ],
)
def test_no_default_of_the_mesh_turns_exports_into_http_2(url: str, limits: dict[str, int] | None) -> None:
    tls = {"sni": "a.example.com"} if url.startswith("https") else None
    policy = specs(url, limits=limits, tls=tls)["DestinationRule"]["trafficPolicy"]
    [of_port] = policy.get("portLevelSettings", [policy])
    assert of_port["connectionPool"]["http"]["h2UpgradePolicy"] == "DO_NOT_UPGRADE"


@pytest.mark.parametrize("url", ["http://otel.obs:4318", "http://10.0.0.7:4318"])
def test_without_limits_and_tls_the_rule_says_the_version_of_http_alone(url: str) -> None:
    assert specs(url, limits=None)["DestinationRule"]["trafficPolicy"] == {"connectionPool": UNLIMITED}


def test_https_outside_is_http_to_istio_which_originates_tls_to_the_urls_port() -> None:
    assert specs("https://collector.example.com") == {
        "ServiceEntry": {
            "hosts": ["collector.example.com"],
            "location": "MESH_EXTERNAL",
            "ports": [{**HTTP_4318, "targetPort": 443}],
            "resolution": "DNS",
        },
        "DestinationRule": {
            "host": "collector.example.com",
            "trafficPolicy": {
                "connectionPool": POOL,
                "tls": {"mode": "SIMPLE", **named("collector.example.com"), **SYSTEM},
            },
        },
    }
    found = at("https://collector.example.com:8443/x")
    assert (found.cluster, found.target_port) == ("outbound|4318||collector.example.com", 8443)
    assert (found.port, found.path, found.tls) == (8443, "/x", True)


def test_tls_remains_when_limits_are_removed() -> None:
    rule = specs("https://collector.example.com", limits=None)["DestinationRule"]
    tls = {"mode": "SIMPLE", **named("collector.example.com"), **SYSTEM}
    assert rule["trafficPolicy"] == {"connectionPool": UNLIMITED, "tls": tls}


def test_a_client_certificate_comes_from_files_of_the_proxy() -> None:
    tls = {"mode": "MUTUAL", "caCertificates": "/c/ca.pem", **FILES}
    rule = specs("https://collector.example.com", tls=tls, exportTo=["shop"])["DestinationRule"]
    assert rule["trafficPolicy"]["tls"] == {
        "mode": "MUTUAL",
        **named("collector.example.com"),
        "caCertificates": "/c/ca.pem",
        **FILES,
    }


def test_https_in_the_mesh_is_tls_to_the_urls_port() -> None:
    found = specs("https://otel.obs:4318", location="mesh")
    assert found["ServiceEntry"]["ports"] == [HTTP_4318]
    assert found["ServiceEntry"]["location"] == "MESH_INTERNAL"
    tls = found["DestinationRule"]["trafficPolicy"]["tls"]
    assert tls == {"mode": "SIMPLE", **named("otel.obs"), **SYSTEM}


def test_https_to_a_kubernetes_service_is_in_the_mesh_and_tls_to_its_port_only() -> None:
    url = "https://otel.obs.svc.cluster.local:4318"
    assert at(url).location == "mesh"
    tls = {"mode": "SIMPLE", **named("otel.obs.svc.cluster.local"), **SYSTEM}
    assert specs(url)["DestinationRule"]["trafficPolicy"] == {
        "portLevelSettings": [{"port": {"number": 4318}, "connectionPool": POOL, "tls": tls}]
    }


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_istios_own_certificates_serve_a_collector_in_the_mesh(scheme: str) -> None:
    rule = specs(f"{scheme}://otel.obs:4318", location="mesh", tls={"mode": "ISTIO_MUTUAL"})[
        "DestinationRule"
    ]
    assert rule["trafficPolicy"]["tls"] == {"mode": "ISTIO_MUTUAL"}


def test_http_outside_is_allowed_with_a_warning() -> None:
    url = "http://collector.example.com:4318"
    assert at(url, location="mesh").warnings == ()
    assert at(url, location="external").warnings == (
        "captured traffic leaves the mesh in plain text; use an https URL",
    )
    assert specs(url, location="external")["ServiceEntry"] == {
        "hosts": ["collector.example.com"],
        "location": "MESH_EXTERNAL",
        "ports": [HTTP_4318],
        "resolution": "DNS",
    }


@pytest.mark.parametrize(
    "host",
    [
        *(
            "collector.example.com",
            "example.com",
            "acme.io",
            "c.ns.svc.acme.corp",
            "203.0.113.7",
            "[2001:db8::1]",
        ),
        *("169.254.1.1", "otel.obs.cluster.local", "otel.corp.internal"),
    ],
)
def test_a_public_name_taken_for_a_host_of_the_mesh_is_warned_of_with_the_key_that_says_otherwise(
    host: str,
) -> None:
    [told] = at(f"http://{host}:4318").warnings
    assert told.startswith(f"{host.strip('[]')} is taken for a host of the mesh, as every http URL's")
    assert "egress.location to external" in told
    assert at(f"http://{host}:4318", location="mesh").warnings == ()


def test_a_name_as_of_a_service_in_a_cluster_of_another_domain_is_warned_of_with_that_domain() -> None:
    url = "http://c.ns.svc.acme.corp:4318"
    [told] = at(url).warnings
    assert "set egress.clusterDomain to acme.corp if it is a Service of this cluster" in told
    assert at(url, clusterDomain="acme.corp").warnings == ()


@pytest.mark.parametrize(
    "host", ["otel.obs", "otel.astra-collector", "otel.obs.svc", "10.0.0.7", "[fd00::1]"]
)
def test_hosts_of_the_cluster_and_short_names_of_services_are_not_warned_of(host: str) -> None:
    assert at(f"http://{host}:4318").warnings == ()


@pytest.mark.parametrize("host", ["otel.obs.svc.cluster.local", "otel.obs.svc", "otel.astra-collector"])
def test_public_roots_for_a_name_of_the_cluster_are_warned_of_with_the_key_that_says_otherwise(
    host: str,
) -> None:
    url = f"https://{host}:4318"
    [told] = at(url).warnings
    assert told.startswith(f"no public authority signs a certificate of {host}, and")
    assert "egress.tls.caCertificates" in told
    assert "egress.tls.mode" in told
    of_mesh: list[dict[str, str]] = [
        {"caCertificates": "/etc/ca.pem"},
        {"mode": "ISTIO_MUTUAL"},
        {"sni": "collector.example.com"},
    ]
    assert [at(url, location="mesh", tls=tls).warnings for tls in of_mesh] == [(), (), ()]


def test_public_roots_for_a_public_name_are_right() -> None:
    assert at("https://collector.example.com").warnings == ()


@pytest.mark.parametrize(
    ("url", "warning"),
    [
        ("http://a.b:4317", "port 4317 is OTLP/gRPC's by convention"),
        ("https://a.b:4317", "port 4317 is OTLP/gRPC's by convention"),
        ("http://a.b:4318/v1/trace", "spans are posted to /v1/trace, and OTLP/HTTP's path"),
        ("http://a.b:4318/v1/traces/", "spans are posted to /v1/traces/, and OTLP/HTTP's path"),
        ("http://a.b:4318/otlp/v1/metrics", "spans are posted to /otlp/v1/metrics, and OTLP/HTTP's path"),
        ("http://127.0.0.1:4318", "127.0.0.1 is the captured pod itself"),
        ("http://[::1]:4318", "::1 is the captured pod itself"),
    ],
)
def test_what_is_legal_but_hardly_meant_is_allowed_with_a_warning(url: str, warning: str) -> None:
    [told] = at(url).warnings
    assert told.startswith(warning)


@pytest.mark.parametrize(
    "url",
    ["http://a.b:4318", "http://a.b:14317", "http://a.b:4318/otlp/v1/traces", "http://a.b:9411/api/v2/spans"],
)
def test_a_port_and_a_path_of_ones_own_are_nothing_to_warn_of(url: str) -> None:
    assert at(url).warnings == ()


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("http://a.b:4318", "/v1/traces"),
        ("http://a.b:4318/", "/v1/traces"),
        ("http://a.b:4318/v1/traces/", "/v1/traces/"),
        ("http://a.b:4318/tenant/7%2F8/v1/traces", "/tenant/7%2F8/v1/traces"),
        ("http://a.b:4318//x", "//x"),
        ("http://a.b:4318/@x:y", "/@x:y"),
    ],
)
def test_an_empty_path_is_otlps_and_any_other_is_kept(url: str, path: str) -> None:
    assert at(url).path == path


def test_an_ipv4_address_is_the_endpoint_of_a_made_up_host() -> None:
    assert specs("http://10.0.0.7:4318")["ServiceEntry"] == {
        "hosts": ["collector-10-0-0-7.astra.internal"],
        "location": "MESH_INTERNAL",
        "ports": [HTTP_4318],
        "resolution": "STATIC",
        "endpoints": [{"address": "10.0.0.7"}],
    }
    found = at("http://10.0.0.7:4318")
    assert found.cluster == "outbound|4318||collector-10-0-0-7.astra.internal"
    assert found.authority == "10.0.0.7"


def test_an_ipv6_address_is_the_endpoint_of_a_made_up_host() -> None:
    found = at("http://[FD00::7]:4318")
    assert found.service_host == "collector-fd00-0000-0000-0000-0000-0000-0000-0007.astra.internal"
    assert found.authority == "[fd00::7]"
    assert specs("http://[FD00::7]:4318")["ServiceEntry"]["endpoints"] == [{"address": "fd00::7"}]


def test_https_to_an_address_goes_by_the_server_name_that_it_needs() -> None:
    found = at("https://10.0.0.7:8443", tls={"sni": "Collector.example.com"})
    assert (found.authority, found.sni) == ("collector.example.com", "collector.example.com")
    assert (found.service_port, found.target_port) == (4318, 8443)


def test_scheme_and_host_are_compared_without_case() -> None:
    found = at("HTTP://OTel.Obs:4318/V1")
    assert (found.scheme, found.host, found.path) == ("http", "otel.obs", "/V1")


def test_both_objects_are_exported_to_the_same_namespaces() -> None:
    found = specs("https://collector.example.com", exportTo=["shop", "."])
    assert found["ServiceEntry"]["exportTo"] == found["DestinationRule"]["exportTo"] == ["shop", "."]


def test_limits_are_settings() -> None:
    rule = specs("http://a.b:4318", limits={"maxConnections": 2, "maxPendingRequests": 3})["DestinationRule"]
    assert rule["trafficPolicy"]["connectionPool"] == {
        "tcp": {"maxConnections": 2},
        "http": {"h2UpgradePolicy": "DO_NOT_UPGRADE", "http1MaxPendingRequests": 3, "http2MaxRequests": 3},
    }


@pytest.mark.parametrize(
    ("url", "namespace"),
    [
        ("http://otel.obs:4318", "obs"),
        ("http://otel.obs.svc:4318", "obs"),
        ("http://otel.obs.svc.cluster.local:4318", "obs"),
        ("http://a.b.c:4318", None),
        ("http://10.0.0.7:4318", None),
        ("https://example.com", None),
    ],
)
def test_the_collectors_namespace_is_known_where_its_host_is_a_service(
    url: str, namespace: str | None
) -> None:
    assert at(url).namespace == namespace


A_PORT = "a port after the host (OTLP/HTTP's is 4318): say the port"
PORTS = "a port from 1 to 65535 after the ':'"
A_SCHEME = "an http:// or https:// URL"
A_HOST = "a host between '//' and the path, an IPv6 address in brackets"
A_DNS_NAME = "a DNS name: labels of at most 63 of a-z, 0-9 and '-', separated by dots"
FOUR_NUMBERS = "an IPv4 address as four decimal numbers, such as 10.0.0.7"
NO_USER = "no user-info: the script would carry the password in clear"
A_DOT = "a host with a dot, such as SERVICE.NAMESPACE.svc.cluster.local"
A_PATH = "a path of URL characters, others percent-encoded"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("a.b:4318", A_SCHEME),
        ("//a.b:4318", A_SCHEME),
        ("http:/a.b:4318", A_SCHEME),
        (" http://a.b:4318", "no blanks around it"),
        ("ftp://a.b:4318", A_SCHEME),
        ("http://a.b", A_PORT),
        ("http://a.b/v1/traces", A_PORT),
        ("http://10.0.0.7", A_PORT),
        ("http://a.b:", PORTS),
        ("http://a.b:0", PORTS),
        ("http://a.b:65536", PORTS),
        ("http://a.b:+80", PORTS),
        ("http://a.b:04318", PORTS),
        ("http://a.b:4318 ", "no blanks around it"),
        ("http://a.b:٤٣", PORTS),
        ("http://a.b:80:80", PORTS),
        ("https://a.b:https", PORTS),
        ("http://:4318", A_HOST),
        ("http:///x", A_HOST),
        ("http://::1:4318", A_HOST),
        ("http://[::1", A_HOST),
        ("http://me@a.b:4318", NO_USER),
        ("http://me:pw@a.b:4318", NO_USER),
        ("http://a.b:4318?x=1", "no query and no fragment"),
        ("http://a.b:4318/x?", "no query and no fragment"),
        ("http://a.b:4318/x#", "no query and no fragment"),
        ("http://a.b:4318/x y", A_PATH),
        ("http://a.b:4318/x%zz", A_PATH),
        ("http://a.b:4318/ü", A_PATH),
        ("http://a.b:4318/x\n", "no blanks around it"),
        ("http://a_b.c:4318", A_DNS_NAME),
        ("http://-a.b:4318", A_DNS_NAME),
        ("http://a..b:4318", A_DNS_NAME),
        ("http://*.b:4318", A_DNS_NAME),
        ("http://a b.c:4318", A_DNS_NAME),
        (f"http://{'a' * 64}.b:4318", A_DNS_NAME),
        (f"http://{'a.' * 130}b:4318", A_DNS_NAME),
        ("http://a.b.:4318", "a host without a dot at its end"),
        ("http://collector:4318", A_DOT),
        ("http://localhost:4318", A_DOT),
        ("http://bücher.example:4318", "a host in ASCII: xn--bcher-kva.example"),
        ("http://10.0.0:4318", FOUR_NUMBERS),
        ("http://10.0.0.256:4318", FOUR_NUMBERS),
        ("http://10.0.0.07:4318", FOUR_NUMBERS),
        ("http://0x7f.1:4318", FOUR_NUMBERS),
        ("http://127.0.0.0x1:4318", FOUR_NUMBERS),
        ("http://2130706433:4318", FOUR_NUMBERS),
        ("http://10.0.0.7.:4318", FOUR_NUMBERS),
        ("http://a.1:4318", FOUR_NUMBERS),
        ("http://[10.0.0.7]:4318", "an IPv6 address between the brackets"),
        ("http://[fe80::1%25eth0]:4318", "an IPv6 address without a zone, which differs from node to node"),
        ("http://[fe80::1%eth0]:4318", "an IPv6 address without a zone, which differs from node to node"),
        ("http://0.0.0.0:4318", "the address of one host"),
        ("http://224.0.0.1:4318", "the address of one host"),
        ("http://[::]:4318", "the address of one host"),
    ],
)
def test_a_bad_url_is_refused(url: str, expected: str) -> None:
    [(path, text)] = refusals(url)
    assert path == "collector_url"
    assert text.startswith("got ")
    assert text.endswith(f", expected {expected}")


@pytest.mark.parametrize(
    ("url", "egress", "expected"),
    [
        (
            "http://otel.obs.svc.cluster.local:4318",
            {"location": "external"},
            [
                (
                    "egress.location",
                    "got 'external', expected mesh: otel.obs.svc.cluster.local is a Service of this cluster",
                )
            ],
        ),
        (
            "https://10.0.0.7",
            {},
            [("egress.tls.sni", "missing, https to the address 10.0.0.7 needs it")],
        ),
        (
            "https://example.com",
            {"tls": {"mode": "ISTIO_MUTUAL"}},
            [("egress.tls.mode", "got 'ISTIO_MUTUAL', expected SIMPLE or MUTUAL for an external collector")],
        ),
        (
            "http://otel.obs:4318",
            {"tls": {"sni": "x.y"}},
            [("egress.tls.sni", "got 'x.y', expected an https URL with it")],
        ),
        (
            "https://example.com",
            {"tls": {"mode": "MUTUAL", "privateKey": "/k"}, "exportTo": ["shop"]},
            [("egress.tls.client_certificate", "missing, mode MUTUAL needs it")],
        ),
        (
            "https://example.com",
            {"tls": {"mode": "MUTUAL", **FILES}},
            [
                (
                    "egress.export_to",
                    (
                        "missing, mode MUTUAL needs it: every workload that sees the entry shows the client "
                        "certificate to the collector, and without this that is every workload of the mesh"
                    ),
                )
            ],
        ),
        (
            "https://example.com",
            {"tls": {"clientCertificate": "/c", "privateKey": "/k"}},
            [
                ("egress.tls.client_certificate", "got '/c', expected none with mode SIMPLE"),
                ("egress.tls.private_key", "got '/k', expected none with mode SIMPLE"),
            ],
        ),
        (
            "https://otel.obs:4318",
            {"location": "mesh", "tls": {"mode": "ISTIO_MUTUAL", "caCertificates": "/c"}},
            [("egress.tls.ca_certificates", "got '/c', expected none with mode ISTIO_MUTUAL")],
        ),
    ],
)
def test_egress_settings_that_do_not_go_with_the_url_are_refused(
    url: str, egress: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert refusals(url, **egress) == expected


URLS = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["http://", "https://", "HTTP://", "http:", ""]) | st.text(max_size=3),
    st.sampled_from(
        ["a.b", "[::1]", "[", "10.0.0.7", "0x1", "", "ü.example", "a.b.svc.cluster.local", "u@a.b"]
    )
    | st.text(max_size=8),
    st.sampled_from([":4318", ":", "", ":0"]) | st.text(max_size=3),
    st.sampled_from(["/v1/traces", "", "/%", "?", "#"]) | st.text(max_size=4),
    st.text(max_size=2),
)


@given(URLS | st.text())
@example("https://a.b\n\xa0")
def test_any_text_is_a_collector_or_refused_in_words(url: str) -> None:
    try:
        found = at(url)
    except EndpointError as refusal:
        problems = refusal.problems
    else:
        problems = ()
        assert found.path.startswith("/")
        assert 0 < found.service_port < 65536
        assert parse(Egress, {"tls": {"sni": found.service_host}}, Spelling.CONFIG)
    assert all("\n" not in problem.text for problem in problems)


@given(st.ip_addresses())
def test_addresses_never_share_a_made_up_host(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if address.is_multicast or address.is_unspecified:
        return
    text = f"[{address}]" if address.version == 6 else str(address)
    host = at(f"http://{text}:4318").service_host
    digits = host.removeprefix("collector-").removesuffix(".astra.internal")
    assert digits.replace("-", "." if address.version == 4 else ":") == address.exploded
