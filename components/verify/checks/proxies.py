"""Does each proxy have the filter with the declared script, and the collector's cluster?"""

from collections.abc import Iterator

from ...istio.endpoint import HTTPS_PORT
from ...istio.names import REVISION, Manifest
from ...istio.read import (
    ROUTER,
    SIDECAR,
    WAYPOINT,
    Capture,
    expects_tls,
    namespace_of_host,
    service_of_host,
    texts,
)
from .. import rights
from ..facts import Facts, Pod, Proxy, Unread
from ..findings import Finding, Level
from ..sidecars import that_hides

_GUIDE = "[Astra Instrumentation]"
"""What the script of the setup guide logs."""


def check(facts: Facts) -> Iterator[Finding]:
    """Findings about the proxies of the pods that are looked at."""
    told: set[Finding] = set()
    for capture in facts.captures:
        for pod in facts.checked[str(capture)]:
            for finding in _of_pod(facts, capture, pod):
                if finding not in told:
                    told.add(finding)
                    yield finding


def _of_pod(facts: Facts, capture: Capture, pod: Pod) -> Iterator[Finding]:
    proxy = facts.proxies[str(pod)]
    if isinstance(proxy, Unread):
        yield Finding(
            Level.UNKNOWN,
            "proxy-unread",
            str(pod),
            proxy.reason,
            f"does the pod run, and may you port-forward to it? If not, {rights.ASK}",
        )
        return
    for reason in proxy.rejected:
        yield Finding(
            Level.PROBLEM,
            "listener-rejected",
            str(pod),
            f"the proxy refuses its listener: {reason}",
            "correct or remove the EnvoyFilter that it names: until then the listener stays as it was",
        )
    yield from _filters(facts, capture, pod, proxy)
    yield from _cluster(facts, capture, pod, proxy)


def _filters(facts: Facts, capture: Capture, pod: Pod, proxy: Proxy) -> Iterator[Finding]:
    subject = str(pod)
    if any(_GUIDE in lua_filter.script for lua_filter in proxy.filters):
        yield Finding(
            Level.PROBLEM,
            "guide-filter",
            subject,
            "runs the script of the setup guide too: each request is reported twice, once without masking",
            "delete the EnvoyFilter that was applied by hand; or give the workload its namespace, and its "
            "name as `filterName`: then `kubectl apply --server-side --force-conflicts` takes it over",
        )
    expected = (
        capture.filters_of(proxy.kind) if proxy.kind else [lua_filter for _, lua_filter in capture.filters]
    )
    if not expected:
        yield _not_for(facts, capture, pod, proxy)
        return
    in_cluster = _scripts_in_cluster(facts, capture)
    if in_cluster is None:
        return  # it cannot be in the proxy, and that it is missing is said of the object
    for http_filter in expected:
        scripts = {lua_filter.script for lua_filter in proxy.filters if lua_filter.name == http_filter.name}
        if not scripts:
            yield Finding(
                Level.PROBLEM,
                "filter-missing",
                subject,
                f"has no HTTP filter {http_filter.name}, which {capture} declares",
                _of_another_revision(facts, capture, pod)
                or "is its port HTTP to Istio (Service port name http-..., or appProtocol), does its control "
                "plane read the object (label istio.io/rev), does `istioctl proxy-status` say SYNCED?",
            )
        elif http_filter.script in scripts:
            yield Finding(Level.OK, "filter", subject, f"runs the declared script of {capture}")
        elif not scripts & in_cluster:
            yield Finding(
                Level.PROBLEM,
                "old-script",
                subject,
                f"runs another script than {capture} holds, {_first_line(next(iter(scripts)))}",
                "is the proxy connected (`istioctl proxy-status`)? A restart of the pod gives it this one",
            )


_PROXIES = {ROUTER: "gateway"}
_DIRECTIONS = {
    SIDECAR: "set its directions to inbound or outbound, or exclude the pod by labels",
    ROUTER: "set its directions to gateway, or exclude the pod by labels",
    WAYPOINT: "capture at a waypoint by targetRefs",
}


def _not_for(facts: Facts, capture: Capture, pod: Pod, proxy: Proxy) -> Finding:
    """A pod is selected whose proxy is of a kind that gets none of the capture's filters."""
    asked = [facts.proxies[str(other)] for other in facts.checked[str(capture)]]
    others_have = any(isinstance(other, Proxy) and capture.filters_of(other.kind) for other in asked)
    # A capture of all pods takes in gateways that nobody meant; one by labels, or of nothing else, was meant.
    is_meant = bool(capture.labels) or bool(capture.targets) or not others_have
    return Finding(
        Level.PROBLEM if is_meant else Level.NOTE,
        "wrong-direction",
        str(pod),
        f"is a {_PROXIES.get(proxy.kind, proxy.kind)}, to which Istio applies no filter of {capture}",
        _DIRECTIONS.get(proxy.kind, "correct its labels"),
    )


def _scripts_in_cluster(facts: Facts, capture: Capture) -> frozenset[str] | None:
    """The scripts of a capture's object in the cluster; None if it is not there."""
    objects = facts.objects[capture.kind, capture.namespace]
    if isinstance(objects, Unread):
        return None if objects.missing else frozenset()
    live = _live(facts, capture)
    return None if live is None else frozenset(texts(live["spec"]))


def _live(facts: Facts, capture: Capture) -> Manifest | None:
    """A capture's object in the cluster; None if it is not there, or could not be read."""
    objects = facts.objects[capture.kind, capture.namespace]
    if isinstance(objects, Unread):
        return None
    return next((item for item in objects if item["metadata"]["name"] == capture.name), None)


def _of_another_revision(facts: Facts, capture: Capture, pod: Pod) -> str | None:
    """What to do where the pod's control plane does not read the object; None where nothing says so."""
    live = _live(facts, capture)
    labels = (live or {}).get("metadata", {}).get("labels") or {}
    revision = labels.get(REVISION, pod.revision)
    if not pod.revision or revision == pod.revision:
        return None
    return (
        f"the object is for revision {revision}, and the pod's control plane is revision {pod.revision}: set "
        f"{REVISION} in commonLabels to a revision; Istio does not compare it with tags"
    )


def _first_line(script: str) -> str:
    return script.partition("\n")[0].removeprefix("-- ")[:60]


def _cluster(facts: Facts, capture: Capture, pod: Pod, proxy: Proxy) -> Iterator[Finding]:
    subject, name = str(pod), capture.cluster
    cluster = proxy.clusters.get(name)
    if cluster is None:
        yield _missing(facts, capture, pod)
    elif cluster.warming:
        yield Finding(
            Level.PROBLEM,
            "cluster-warming",
            subject,
            f"waits for the addresses of {capture.host}: DNS has not answered yet",
            "create the collector's DNS name, or correct the host in collectorUrl",
        )
    elif not cluster.tls and (expects_tls(facts.manifests, capture.host) or HTTPS_PORT in cluster.ports):
        yield Finding(
            Level.PROBLEM,
            "no-tls",
            subject,
            f"sends plain text to {capture.host}, where TLS is declared: cluster {name} has no TLS settings",
            "is the stack's DestinationRule in the cluster, and does no other one for this host win over it? "
            f"`istioctl proxy-config cluster {subject} --fqdn {capture.host} -o json`",
        )
    elif not cluster.ports:
        yield Finding(
            Level.PROBLEM,
            "no-endpoints",
            subject,
            f"knows no address of the collector: cluster {name} has no endpoints",
            f"does {capture.host} resolve in the cluster, are its pods ready, is the Service not headless?",
        )
    else:
        yield Finding(Level.OK, "cluster", subject, f"has the collector's cluster {name}")


def _missing(facts: Facts, capture: Capture, pod: Pod) -> Finding:
    host, namespace = capture.host, namespace_of_host(facts.manifests, capture.host)
    lists = [facts.objects.get(("Sidecar", name), []) for name in (pod.namespace, facts.root_namespace)]
    sidecars = [item for items in lists if not isinstance(items, Unread) for item in items]
    hiding = that_hides(sidecars, pod, host, namespace, facts.root_namespace)
    if hiding:
        metadata = hiding["metadata"]
        return Finding(
            Level.PROBLEM,
            "hidden-by-sidecar",
            str(pod),
            f"has no cluster {capture.cluster}: "
            f"Sidecar {metadata['namespace']}/{metadata['name']} hides {host}",
            f"add {namespace or '*'}/{host} to the Sidecar's egress.hosts",
        )
    if capture.targets:
        cause = (
            "a waypoint gets no cluster that its routes do not name: is the stack's EnvoyFilter for it there?"
        )
    elif service := service_of_host(facts.manifests, host):
        cause = f"is there a Service {service.name} in namespace {service.namespace} with that port?"
    else:
        cause = "is the ServiceEntry in the cluster, and exported to the pod's namespace (egress.exportTo)?"
    unread = next((items for items in lists if isinstance(items, Unread)), None)
    doubt = f" Sidecars could not be read ({unread.reason}): one may hide it." if unread else ""
    return Finding(
        Level.PROBLEM,
        "cluster-missing",
        str(pod),
        f"has no cluster {capture.cluster}: its spans are dropped",
        f"{cause}{doubt}",
    )
