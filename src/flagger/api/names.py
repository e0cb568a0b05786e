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

HOLD: Final = f"{RELEASE_GROUP}/hold"
"""On a Canary: pauses it for as long as the annotation is there; the value says why."""
REQUEST: Final = f"{RELEASE_GROUP}/request"
"""On a Canary: an act as JSON, for clusters without the kind ReleaseAction."""
RESPONSE: Final = f"{RELEASE_GROUP}/response"
"""On a Canary: what became of the request, as JSON."""

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
KNATIVE_PREVIOUS_REVISION: Final = f"{RELEASE_GROUP}/previous-primary-revision"
"""On a Knative Service: the revision that was the primary before the last promotion."""

ORIGINAL_CONFIGURATION: Final = "flagger.kubernetes.io/original-configuration"
"""On an adopted VirtualService: JSON of the spec found before, for the revert."""
ORIGINAL_METADATA: Final = f"{RELEASE_GROUP}/original-metadata"
"""On the same: JSON of the labels and annotations that we wrote over, null for those that were not there."""
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
"""Written by kubectl; preferred over our own copy when reverting."""

ROUTE_REFS: Final = f"{RELEASE_GROUP}/route-refs"
"""On a Canary: `spec.service.routeRefs` as JSON, for clusters whose CRD doesn't know the field and drops it."""
USERS_WEIGHTS: Final = f"{RELEASE_GROUP}/users-weights"
"""On a user's route while its weights are ours: JSON of those to put back, by Canary."""

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
