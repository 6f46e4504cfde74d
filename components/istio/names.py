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
"""The annotation by which a proxy gets the cluster of a service that none of its routes names. It is for
waypoints, and for gateways to which istiod sends only the clusters that they need (istio/istio,
pilot/pkg/model/push_context.go, ``extraServicesForProxy``)."""

WAYPOINT_CLASS = "istio-waypoint"
"""The one GatewayClass that Istio attaches policies to (pilot/pkg/model/policyattachment.go)."""

GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"
"""The label of the pods that Istio runs for a ``Gateway`` of the Gateway API, waypoints included."""

GATEWAY_CLASS_NAME = "gateway.networking.k8s.io/gateway-class-name"
"""The same for the class of their Gateway (istio/istio, istio-discovery/files/waypoint.yaml)."""

REVISION = "istio.io/rev"
"""On an object, the label that names the only control plane that reads it: by its revision, never by a tag
(istio/istio, pkg/config/model.go, ``LabelsInRevision``). On a pod, the revision that injected its proxy, even
if the namespace named a tag."""

STAT_PREFIX = "astra_capture"
"""The prefix of the statistics that Envoy keeps for an EnvoyFilter's script."""
