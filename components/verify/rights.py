"""The rights that verify needs in a cluster."""

CLUSTER_ROLE = """\
# Bind it by a RoleBinding in each namespace of the stack's objects and workloads, and in the mesh's root
# namespace; by a ClusterRoleBinding where a workload of the root namespace selects pods of all namespaces.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: astra-capture-verify
rules:
  - apiGroups: [networking.istio.io]
    resources: [serviceentries, destinationrules, envoyfilters, sidecars]
    verbs: [list]
  - apiGroups: [extensions.istio.io]
    resources: [trafficextensions]
    verbs: [list]
  - apiGroups: [""]
    resources: [pods]
    verbs: [get, list]
  - apiGroups: [""]
    resources: [pods/portforward]
    verbs: [get, create]
"""

ASK = "ask for the rights that this command prints with --rights"
"""The next step where one is missing. The command has two names, `make verify` and the wheel's module."""
