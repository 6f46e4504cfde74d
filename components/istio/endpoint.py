"""The collector's URL: where it is, how the mesh reaches it, and the Envoy cluster that the script calls.

Pure. Envoy knows a cluster by the *Service* port (istio/istio, ``BuildSubsetKey``), and originates TLS only
where a DestinationRule says so, so an external https endpoint is declared as HTTP on port 4318 with the URL's
port as ``targetPort``.
"""

import difflib
import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from ..settings.defaults import CLUSTER_DOMAIN
from ..settings.models import Egress, Location, Tls, TlsMode
from ..settings.validation import Problem, placeholder, shown
from ..settings.value_types import is_dns_name

DEFAULT_PATH = "/v1/traces"
OTLP_HTTP_PORT = 4318
OTLP_GRPC_PORT = 4317
HTTPS_PORT = 443
MAX_PORT = 65535

_URL = re.compile(
    r"(?P<scheme>[^:/?#@]*)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?P<fragment>#.*)?",
    re.DOTALL,
)
_AUTHORITY = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*)(:(?P<port>.*))?", re.DOTALL)
_PORT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_PATH = re.compile(r"/([A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
_SERVICE = re.compile(r"(?P<short>[^.]+\.[^.]+)(\.svc(\.(?P<domain>.+))?)?")
# WHATWG URL, "ends in a number": such a host is an IPv4 address, in some notation, or nothing.
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")

_INSIDE = [
    ipaddress.ip_network(network)
    for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "fc00::/7", "::1/128")
]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Registry(Enum):
    """What makes the collector known to the mesh."""

    KUBERNETES = auto()
    """A Kubernetes Service: nothing to declare, Istio's own entry wins."""
    DNS = auto()
    """A ServiceEntry whose host is resolved by DNS."""
    STATIC = auto()
    """A ServiceEntry of a made-up host with an IP address as its endpoint."""


@dataclass(frozen=True)
class Collector:
    """The collector as the mesh will know it.

    Attributes:
        scheme: ``http`` or ``https``.
        host: the URL's host in lower case, an IPv6 literal without brackets.
        port: the URL's port, 443 for https without one.
        path: where spans are posted.
        authority: the ``:authority`` of an export request: the DNS name, without a port.
        location: in the mesh or outside of it.
        cluster_domain: the domain of the Kubernetes cluster.
        tls_mode: how the proxy originates TLS, None for plain text.
        sni: the server name asked for, None where Istio chooses it.
        registry: what makes it known to the mesh.
        service_host: host of the Kubernetes Service or ServiceEntry.
        service_port: its port, which the cluster is named by.
        target_port: the port that is connected to, where it differs from ``service_port``.
        warnings: what the user should know, one line each.
    """

    scheme: str
    host: str
    port: int
    path: str
    authority: str
    location: Location
    cluster_domain: str
    tls_mode: TlsMode | None
    sni: str | None
    registry: Registry
    service_host: str
    service_port: int
    target_port: int | None
    warnings: tuple[str, ...] = ()

    @property
    def cluster(self) -> str:
        """Envoy's name of the cluster that reaches the collector."""
        return f"outbound|{self.service_port}||{self.service_host}"

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names by which an application may call it, in lower case and without a port.

        A Service has a short name, which holds in every namespace, and two longer ones.
        """
        service = _SERVICE.fullmatch(self.host) if self.location is Location.MESH else None
        short = service["short"] if service else self.host
        names = (short, f"{short}.svc", f"{short}.svc.{self.cluster_domain}") if service else ()
        address = f"[{self.host}]" if ":" in self.host else self.host
        return tuple(dict.fromkeys((self.authority.lower(), address, *names)))

    @property
    def tls(self) -> bool:
        """Whether the proxy originates TLS."""
        return self.tls_mode is not None

    @property
    def namespace(self) -> str | None:
        """The collector's namespace, where its host names a Service of the mesh."""
        labels = self.host.removesuffix(f".svc.{self.cluster_domain}").removesuffix(".svc").split(".")
        return labels[1] if self.location is Location.MESH and len(labels) == 2 else None  # noqa: PLR2004


class EndpointError(ValueError):
    """A collector that cannot be reached as described.

    Attributes:
        problems: what is wrong, with the paths ``collector_url`` and ``egress....``.
    """

    def __init__(self, *problems: Problem) -> None:
        super().__init__()
        self.problems = problems


class Url(NamedTuple):
    """The parts of a collector URL.

    Attributes:
        scheme: ``http`` or ``https``.
        host: in lower case, an IPv6 literal without brackets.
        address: the host as an address, if it is one.
        port: None if the URL has none, which only https may.
        path: :data:`DEFAULT_PATH` for an empty one.
    """

    scheme: str
    host: str
    address: Address | None
    port: int | None
    path: str


def parse_url(text: str) -> Url:
    """Take a collector URL apart.

    Raises:
        EndpointError: it is not an http or https URL of a host with legal parts, and nothing else.
    """
    if text != text.strip():
        raise _refused(text, "no blanks around it")
    url = _URL.fullmatch(text)
    scheme = url["scheme"].lower() if url else ""
    if url is None or scheme not in {"http", "https"}:
        raise _refused(text, f"an http:// or https:// URL{placeholder(text)}")
    if "@" in url["authority"]:
        raise _refused(text, "no user-info: the script would carry the password in clear")
    if url["query"] is not None or url["fragment"] is not None:
        raise _refused(text, "no query and no fragment")
    authority = _AUTHORITY.fullmatch(url["authority"])
    if authority is None or not authority["host"]:
        raise _refused(text, "a host between '//' and the path, an IPv6 address in brackets")
    port = _port(text, authority["port"])
    if port is None and scheme == "http":
        raise _refused(text, f"a port after the host (OTLP/HTTP's is {OTLP_HTTP_PORT}): say the port")
    if url["path"] and not _PATH.fullmatch(url["path"]):
        raise _refused(text, "a path of URL characters, others percent-encoded")
    host, address = _host(text, authority["host"].lower())
    return Url(scheme, host, address, port, DEFAULT_PATH if url["path"] in {"", "/"} else url["path"])


def _refused(url: str, expected: str) -> EndpointError:
    return EndpointError(Problem(("collector_url",), f"got {shown(url)}, expected {expected}"))


def _port(url: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not _PORT.fullmatch(text) or int(text) > MAX_PORT:
        raise _refused(url, f"a port from 1 to {MAX_PORT} after the ':'")
    return int(text)


def _host(url: str, text: str) -> tuple[str, Address | None]:
    if text.startswith("["):
        try:
            address: Address = ipaddress.IPv6Address(text[1:-1])
        except ValueError:
            raise _refused(url, "an IPv6 address between the brackets") from None
        if "%" in text:
            raise _refused(url, "an IPv6 address without a zone, which differs from node to node")
    elif _NUMERIC_LABEL.fullmatch(text.removesuffix(".").rpartition(".")[2]):
        try:
            address = ipaddress.IPv4Address(text)
        except ValueError:
            raise _refused(url, "an IPv4 address as four decimal numbers, such as 10.0.0.7") from None
    else:
        _check_dns_name(url, text)
        return text, None
    if address.is_unspecified or address.is_multicast:
        raise _refused(url, "the address of one host")
    return str(address), address


def _check_dns_name(url: str, host: str) -> None:
    if not host.isascii():
        raise _refused(url, f"a host in ASCII{_punycode_hint(host)}")
    if host.endswith("."):
        raise _refused(url, "a host without a dot at its end")
    if not is_dns_name(host):
        raise _refused(url, "a DNS name: labels of at most 63 of a-z, 0-9 and '-', separated by dots")
    if "." not in host:
        # Istio completes a name without a dot by the namespace of the object that holds it.
        raise _refused(url, "a host with a dot, such as SERVICE.NAMESPACE.svc.cluster.local")


def _punycode_hint(host: str) -> str:
    try:
        punycode = host.encode("idna").decode()
    except UnicodeError:
        return ""
    return f": {punycode}" if is_dns_name(punycode) else ""


def is_in_cluster(host: str, cluster_domain: str = CLUSTER_DOMAIN) -> bool:
    """Whether every reading of a host's name leads into the cluster.

    Inside are names below ``svc.cluster_domain`` and ``svc``, which Kubernetes' DNS alone answers; the short
    name ``SERVICE.NAMESPACE`` whose namespace can be no top-level domain, as those are letters only or begin
    with ``xn--`` (RFC 3696, 2); and private, unique local and loopback addresses (RFC 1918, RFC 4193).
    Outside is everything else: public names and addresses, ``evil.com``, which may be a Service too,
    link-local and shared addresses, which are the node's, the cloud's or the provider's.

    Args:
        host: as :attr:`Collector.host`.
        cluster_domain: the domain of the cluster.
    """
    try:
        address: Address = ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        if isinstance(address, ipaddress.IPv6Address):
            address = address.ipv4_mapped or address
        return any(address in network for network in _INSIDE if network.version == address.version)
    if host.endswith((f".svc.{cluster_domain}", ".svc")):
        return True
    *service, namespace = host.split(".")
    return len(service) == 1 and not namespace.isalpha() and not namespace.startswith("xn--")


def collector(url: str, egress: Egress) -> Collector:
    """Decide how the mesh reaches the collector.

    Raises:
        EndpointError: the URL is bad, or does not go with the egress settings.
    """
    parts = parse_url(url)
    short_name = parts.host.removesuffix(f".svc.{egress.cluster_domain}")
    is_service = short_name != parts.host and short_name.count(".") == 1
    by_default = Location.MESH if parts.scheme == "http" or is_service else Location.EXTERNAL
    location = egress.location or by_default
    if is_service and location is Location.EXTERNAL:
        raise EndpointError(
            Problem(
                ("egress", "location"),
                f"got 'external', expected mesh: {parts.host} is a Service of this cluster",
            )
        )
    tls = egress.tls or (Tls() if parts.scheme == "https" else None)
    problems = [] if tls is None else [*_tls_problems(tls, parts, location), *_lending_problems(tls, egress)]
    if problems:
        raise EndpointError(*problems)

    port = parts.port or HTTPS_PORT
    redirected = parts.scheme == "https" and location is Location.EXTERNAL
    sni = None if tls is None else tls.sni
    if tls is not None and tls.mode is not TlsMode.ISTIO_MUTUAL:
        sni = sni or parts.host
    return Collector(
        scheme=parts.scheme,
        host=parts.host,
        port=port,
        path=parts.path,
        authority=_authority(parts, sni),
        location=location,
        cluster_domain=egress.cluster_domain,
        tls_mode=None if tls is None else tls.mode,
        sni=sni,
        registry=Registry.KUBERNETES if is_service else Registry.STATIC if parts.address else Registry.DNS,
        service_host=_synthetic_host(parts.address) if parts.address else parts.host,
        service_port=OTLP_HTTP_PORT if redirected else port,
        target_port=port if redirected else None,
        warnings=tuple(_warnings(parts, location, egress)),
    )


def _looks_outside(url: Url, cluster_domain: str) -> bool:
    """Whether a host is a public address, or a name that is hardly SERVICE.NAMESPACE."""
    is_inside = is_in_cluster(url.host, cluster_domain)
    if is_inside or url.address:
        return not is_inside
    *_, last = labels = url.host.split(".")
    is_country = len(last) == 2 and last.isalpha()  # noqa: PLR2004 - ISO 3166
    return len(labels) > 2 or is_country or last in {"com", "net", "org"}  # noqa: PLR2004


def _warnings(url: Url, location: Location, egress: Egress) -> Iterator[str]:
    if url.scheme == "http" and location is Location.EXTERNAL:
        yield "captured traffic leaves the mesh in plain text; use an https URL"
    elif url.scheme == "http" and egress.location is None and _looks_outside(url, egress.cluster_domain):
        service = _SERVICE.fullmatch(url.host)
        domain = service and service["domain"]
        other_domain = (
            f"egress.clusterDomain to {domain} if it is a Service of this cluster, " if domain else ""
        )
        yield (
            f"{url.host} is taken for a host of the mesh, as every http URL's, and gets captured traffic in "
            f"plain text: set {other_domain}egress.location to external if it is outside (and use https), "
            "else to mesh"
        )
    tls = egress.tls or Tls()
    has_public_roots = (
        url.scheme == "https" and tls.mode is not TlsMode.ISTIO_MUTUAL and not tls.ca_certificates
    )
    if has_public_roots and tls.sni is None and is_in_cluster(url.host, egress.cluster_domain):
        yield (
            f"no public authority signs a certificate of {url.host}, and the proxies trust the system's root "
            "certificates: set egress.tls.caCertificates to the file of its authority, or egress.tls.mode to "
            "ISTIO_MUTUAL for a collector with a sidecar"
        )
    if url.port == OTLP_GRPC_PORT:
        yield (
            f"port {OTLP_GRPC_PORT} is OTLP/gRPC's by convention, and spans are sent by OTLP/HTTP, whose "
            f"port is {OTLP_HTTP_PORT}; a gRPC receiver refuses them"
        )
    signal = "/" + "/".join(url.path.strip("/").split("/")[-2:])
    if not url.path.endswith(DEFAULT_PATH) and difflib.get_close_matches(signal, [DEFAULT_PATH], cutoff=0.7):
        yield f"spans are posted to {url.path}, and OTLP/HTTP's path for them ends with {DEFAULT_PATH}"
    if url.address and url.address.is_loopback:
        yield f"{url.address} is the captured pod itself, seen from its proxy"


def _tls_problems(tls: Tls, url: Url, location: Location) -> list[Problem]:
    problems = []
    if tls.mode is TlsMode.ISTIO_MUTUAL and location is Location.EXTERNAL:
        problems.append(
            _tls_problem("mode", "got 'ISTIO_MUTUAL', expected SIMPLE or MUTUAL for an external collector")
        )
    if tls.mode is not TlsMode.ISTIO_MUTUAL and url.scheme == "http":
        return _without_https(tls)
    needed = {"client_certificate", "private_key"} if tls.mode is TlsMode.MUTUAL else set()
    if url.address and tls.mode is not TlsMode.ISTIO_MUTUAL and url.scheme == "https":
        needed.add("sni")
    allowed = needed | ({"sni"} if tls.mode is TlsMode.ISTIO_MUTUAL else {"sni", "ca_certificates"})
    for name in ("sni", "ca_certificates", "client_certificate", "private_key"):
        value = getattr(tls, name)
        if value is None and name in needed:
            reason = f"https to the address {url.host}" if name == "sni" else f"mode {tls.mode.value}"
            problems.append(_tls_problem(name, f"missing, {reason} needs it"))
        elif value is not None and name not in allowed:
            problems.append(
                _tls_problem(name, f"got {shown(value)}, expected none with mode {tls.mode.value}")
            )
    return problems


def _without_https(tls: Tls) -> list[Problem]:
    """Every setting of TLS that was given beside an http URL; ``tls`` itself where it is empty."""
    expected = "an https URL with it"
    given = {name: value for name, value in tls if name in tls.model_fields_set and value is not None}
    if not given:
        return [Problem(("egress", "tls"), f"got {{}}, expected {expected}")]
    return [
        _tls_problem(name, f"got {shown(str(value))}, expected {expected}") for name, value in given.items()
    ]


def _lending_problems(tls: Tls, egress: Egress) -> Iterator[Problem]:
    if tls.mode is TlsMode.MUTUAL and egress.create and egress.export_to is None:
        yield Problem(
            ("egress", "export_to"),
            "missing, mode MUTUAL needs it: every workload that sees the entry shows the client certificate "
            "to the collector, and without this that is every workload of the mesh",
        )


def _tls_problem(field: str, text: str) -> Problem:
    return Problem(("egress", "tls", field), text)


def _authority(url: Url, sni: str | None) -> str:
    if url.address is None:
        return url.host
    return sni or (f"[{url.host}]" if url.address.version == 6 else url.host)  # noqa: PLR2004


def _synthetic_host(address: Address) -> str:
    # .internal is reserved for private use (ICANN, 2024). IPv6 is written out, so that no label is empty.
    return f"collector-{re.sub('[.:]', '-', address.exploded)}.astra.internal"
