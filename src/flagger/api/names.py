"""Every group, label, annotation and finalizer key that belongs to the API, once.

The values of the `flagger.app` family are upstream's: clusters, GitOps tools and dashboards know them.
"""

from typing import Final

GROUP: Final = "flagger.app"
"""API group of Canary, MetricTemplate and AlertProvider."""
VERSION: Final = "v1beta1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

RELEASE_GROUP: Final = "release.flagger.app"
"""API group of the kinds that upstream does not have."""
RELEASE_VERSION: Final = "v1alpha1"
RELEASE_API_VERSION: Final = f"{RELEASE_GROUP}/{RELEASE_VERSION}"

FINALIZER: Final = "finalizer.flagger.app"
"""On a Canary while `spec.revertOnDeletion` is true."""

CONFIG_TRACKING: Final = "flagger.app/config-tracking"
"""On a ConfigMap or Secret: a value that starts with `disable` keeps it out of tracking and copying."""
CONFIG_TRACKING_DISABLED_PREFIX: Final = "disable"

SCALE_TO_ZERO_SELECTOR: Final = "flagger.app/scale-to-zero"
"""Node selector (value `true`) that parks a target DaemonSet."""

PRIMARY_ID: Final = "flagger-id"
"""On the primary's pod template: a fresh UUIDv4 per promotion, so that pods roll."""

KNATIVE_PRIMARY_REVISION: Final = "flagger.app/primary-revision"
"""On a Knative Service: the revision that acts as primary."""

ORIGINAL_CONFIGURATION: Final = "flagger.kubernetes.io/original-configuration"
"""On an adopted VirtualService: JSON of the spec found before, for the revert."""
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
"""Written by kubectl; preferred over our own copy when reverting."""

KEDA_PAUSED_REPLICAS: Final = "autoscaling.keda.sh/paused-replicas"
"""On the target's ScaledObject (value `0`) while the target is idle."""
KUMA_MESH: Final = "kuma.io/mesh"
"""On a Canary: mesh of the generated TrafficRoute; `default` when absent."""
APPMESH_ACCESS_LOG: Final = "appmesh.flagger.app/accesslog"
"""On a Canary (value `enabled`): virtual nodes log requests to stdout."""

GITOPS_IGNORE: Final = {
    "kustomize.toolkit.fluxcd.io/reconcile": "disabled",
    "helm.toolkit.fluxcd.io/driftDetection": "disabled",
}
"""Annotations of every generated Service and routing object: GitOps tools keep away."""
GITOPS_KEY_PART: Final = "toolkit.fluxcd.io"
"""A target's label or annotation whose key contains this is never copied to primary objects."""

HELM_RESOURCE_POLICY: Final = "helm.sh/resource-policy"
"""On the CRDs (value `keep`): an uninstalled chart leaves users' objects alone."""
