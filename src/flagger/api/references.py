"""References from a Canary to other objects."""

from collections.abc import Mapping
from typing import Annotated, NamedTuple

from msgspec import Meta, field

from flagger.api.model import Model
from flagger.api.schema import enum

KNATIVE_SERVING = "serving.knative.dev/v1"
"""With kind Service, this API version makes the target a Knative Service; any other makes it a core one."""


class TargetRef(Model):
    """The workload that is released, in the Canary's own namespace."""

    api_version: str
    """API version of the target, for example apps/v1."""
    kind: Annotated[str, enum("DaemonSet", "Deployment", "Service")]
    """Kind of the target."""
    name: str
    """Name of the target."""

    @property
    def is_knative(self) -> bool:
        """Say whether the target is a Knative Service."""
        return self.kind == "Service" and self.api_version == KNATIVE_SERVING


class PrimaryScalerReplicas(Model):
    """Replica bounds of the primary's scaler where they differ from the target's."""

    min_replicas: Annotated[int, Meta(extra_json_schema={"minimum": 1})] | None = None
    """Least number of replicas of the primary; the target's bound when absent."""
    max_replicas: Annotated[int, Meta(extra_json_schema={"minimum": 1})] | None = None
    """Greatest number of replicas of the primary; the target's bound when absent."""


class AutoscalerRef(Model):
    """The scaler of the target; the primary gets a copy named NAME-primary."""

    api_version: str
    """API version of the scaler; not inspected."""
    kind: Annotated[str, enum("HorizontalPodAutoscaler", "ScaledObject")]
    """Kind of the scaler."""
    name: str
    """Name of the scaler, in the Canary's namespace."""
    primary_scaler_queries: Mapping[str, str] | None = None
    """Trigger name to query of the primary's ScaledObject; derived from the target's queries when absent."""
    primary_scaler_replicas: PrimaryScalerReplicas | None = None
    """Replica bounds of the primary's scaler where they differ from the target's."""


class IngressRef(Model):
    """The Ingress that routes to the apex Service, in the Canary's namespace (nginx, skipper)."""

    api_version: str
    """API version of the Ingress."""
    kind: Annotated[str, enum("Ingress")]
    """Kind of the Ingress."""
    name: str
    """Name of the Ingress; a companion NAME-canary is maintained."""


class RouteRef(Model):
    """The ApisixRoute whose one backend is the apex Service, in the Canary's namespace (apisix)."""

    api_version: str
    """API version of the route."""
    kind: Annotated[str, enum("ApisixRoute")]
    """Kind of the route."""
    name: str
    """Name of the route."""


class UpstreamRef(Model):
    """The Gloo Upstream whose connection settings generated upstreams inherit (gloo)."""

    api_version: str
    """API version of the upstream."""
    kind: Annotated[str, enum("Upstream")]
    """Kind of the upstream."""
    name: str
    """Name of the upstream."""
    namespace: str = ""
    """Namespace of the upstream; the Canary's own when empty."""


class CrossNamespaceRef(Model):
    """A MetricTemplate or AlertProvider by name."""

    name: str
    """Name of the object."""
    namespace: str = ""
    """Namespace of the object; the Canary's own when empty."""


class SecretRef(Model):
    """A Secret in the namespace of the object that refers to it."""

    name: str
    """Name of the Secret."""


class OwnerReference(Model):
    """Who an object belongs to, as in its metadata."""

    api_version: str = ""
    """API version of the owner."""
    kind: str = ""
    """Kind of the owner."""
    name: str = ""
    """Name of the owner."""
    uid: str = ""
    """Identity of the owner."""
    controller: bool = False
    """Whether the owner manages the object."""


class Metadata(Model):
    """What we read of an object's metadata."""

    name: str
    """Name, unique in the namespace."""
    namespace: str = ""
    """Namespace."""
    uid: str = ""
    """Identity, different for each creation."""
    resource_version: str = ""
    """Opaque version of the whole object."""
    generation: int = 0
    """Counts changes of the spec."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Annotations."""
    finalizers: tuple[str, ...] = ()
    """Who must agree before the object goes."""
    creation_timestamp: str = ""
    """When the object was created; times of this form sort as texts."""
    deletion_timestamp: str = ""
    """When deletion was asked for; empty while it was not."""
    owner_references: tuple[OwnerReference, ...] = ()
    """Who the object belongs to."""


class Key(NamedTuple):
    """Namespace and name of a referenced object."""

    namespace: str
    name: str
