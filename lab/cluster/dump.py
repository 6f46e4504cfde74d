"""What a proxy's ``/config_dump`` says: which listeners, filters, scripts and clusters it has."""

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

_MANAGER = "envoy.filters.network.http_connection_manager"


def listener(dump: Json, port: int) -> Json | None:
    """The active listener on a port of loopback; None where there is none."""
    for item in _section(dump, "ListenersConfigDump").get("dynamic_listeners", []):
        config: Json = item.get("active_state", {}).get("listener", {})
        address = config.get("address", {}).get("socket_address", {})
        if address.get("port_value") == port:
            return config
    return None


def http_filters(dump: Json, port: int) -> list[Json]:
    """The HTTP filters of a listener's first filter chain with an HTTP connection manager, in their order."""
    config = listener(dump, port) or {}
    for manager in _managers(config):
        filters: list[Json] = manager["http_filters"]
        return filters
    return []


def filter_names(dump: Json, port: int) -> list[str]:
    """Their names."""
    return [item["name"] for item in http_filters(dump, port)]


def scripts(dump: Json, port: int) -> dict[str, str]:
    """The Lua of a listener, by filter name."""
    return {
        item["name"]: item["typed_config"]["default_source_code"]["inline_string"]
        for item in http_filters(dump, port)
        if "default_source_code" in item.get("typed_config", {})
    }


def clusters(dump: Json) -> dict[str, Json]:
    """The clusters that istiod sent and that are in use, by name."""
    return {
        item["cluster"]["name"]: item["cluster"]
        for item in _section(dump, "ClustersConfigDump").get("dynamic_active_clusters", [])
    }


def endpoints(dump: Json) -> dict[str, list[str]]:
    """The addresses of each cluster whose endpoints istiod sent, as ``address:port``."""
    result = {}
    for item in _section(dump, "EndpointsConfigDump").get("dynamic_endpoint_configs", []):
        config = item["endpoint_config"]
        addresses = [
            endpoint["endpoint"]["address"]["socket_address"]
            for locality in config.get("endpoints", [])
            for endpoint in locality.get("lb_endpoints", [])
            if "socket_address" in endpoint["endpoint"]["address"]  # others are inside of Envoy
        ]
        result[config["cluster_name"]] = [f"{item['address']}:{item['port_value']}" for item in addresses]
    return result


def domains(dump: Json) -> set[str]:
    """The hosts that routes know, whatever the listener."""
    return {domain for host in _virtual_hosts(dump) for domain in host["domains"]}


def routed(dump: Json) -> set[str]:
    """The clusters that routes lead to, whatever the listener."""
    return {
        route["route"]["cluster"]
        for host in _virtual_hosts(dump)
        for route in host.get("routes", [])
        if "cluster" in route.get("route", {})
    }


def _virtual_hosts(dump: Json) -> Iterator[Json]:
    for item in _section(dump, "RoutesConfigDump").get("dynamic_route_configs", []):
        yield from item["route_config"].get("virtual_hosts", [])


def _section(dump: Json, name: str) -> Json:
    return next((item for item in dump["configs"] if item["@type"].endswith(f".{name}")), {})


def _managers(config: Json) -> Iterator[Json]:
    chains = [*config.get("filter_chains", []), config.get("default_filter_chain", {})]
    for chain in chains:
        for item in chain.get("filters", []):
            if item["name"] == _MANAGER:
                yield item["typed_config"]
