"""Names that the package's objects have in a cluster and in its proxies, each said once."""

from typing import Any

Manifest = dict[str, Any]
"""A Kubernetes object, in Kubernetes' spelling."""

# Part of a resource's identity in Pulumi (its type token): a change needs an alias and a changelog entry.
NETWORKING = "networking.istio.io/v1"
ENVOY_FILTER = "networking.istio.io/v1alpha3"  # the only version that EnvoyFilter has
TRAFFIC_EXTENSION = "extensions.istio.io/v1alpha1"

PART_OF = {"app.kubernetes.io/part-of": "astra-istio-instrumentation"}
"""The label of every object of the package."""

SCRIPT_HASH = "astra.security/capture-script-sha256"
"""The annotation with the hash of a capture script, its settings left out."""

REFERENCED_SERVICES = "envoyfilter.istio.io/referenced-services"
"""Gives a waypoint, and a gateway that gets only the clusters it needs, the cluster of a service that none of
its routes names (istio/istio, pilot/pkg/model/push_context.go, ``extraServicesForProxy``)."""

WAYPOINT_CLASS = "istio-waypoint"
"""The one GatewayClass that Istio attaches policies to (pilot/pkg/model/policyattachment.go)."""

GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"
"""The label of the pods that Istio runs for a ``Gateway`` of the Gateway API, waypoints included."""

GATEWAY_CLASS_NAME = "gateway.networking.k8s.io/gateway-class-name"
"""The same for the class of their Gateway (istio/istio, istio-discovery/files/waypoint.yaml)."""

REVISION = "istio.io/rev"
"""Of an object: the label with the revision of the control plane that alone reads it. It is compared with the
revision and with no tag (istio/istio, pkg/config/model.go, ``LabelsInRevision``). Of a pod: the revision that
injected its proxy, also where the namespace named a tag."""

STAT_PREFIX = "astra_capture"
"""Of the statistics that Envoy keeps of an EnvoyFilter's script."""
