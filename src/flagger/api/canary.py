"""The Canary: what is released, how traffic moves, how it is judged, and how far it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, NamedTuple

from flagger.api.analysis import (
    DEFAULT_METRIC_INTERVAL,
    INTERVAL_FLOOR,
    Analysis,
    Strategy,
)
from flagger.api.model import Model, decode
from flagger.api.names import API_VERSION
from flagger.api.quantities import seconds
from flagger.api.references import (
    AutoscalerRef,
    CrossNamespaceRef,
    IngressRef,
    Key,
    Metadata,
    RouteRef,
    TargetRef,
    UpstreamRef,
)
from flagger.api.schema import NUMBER, enum
from flagger.api.service import ServiceSpec
from flagger.api.status import CanaryStatus

PROVIDERS = (
    "apisix",
    "appmesh",
    "appmesh:v1beta2",
    "contour",
    "gatewayapi:v1",
    "gatewayapi:v1beta1",
    "gloo",
    "istio",
    "knative",
    "kubernetes",
    "kuma",
    "linkerd",
    "nginx",
    "osm",
    "skipper",
    "smi:v1alpha1",
    "smi:v1alpha2",
    "smi:v1alpha3",
    "traefik",
)
"""Values of `spec.provider`."""

DEFAULT_PROGRESS_DEADLINE = 600
DEFAULT_PORT_NAME = "http"


class ServiceNames(NamedTuple):
    """Names of the three Services; can be unpacked."""

    apex: str
    primary: str
    canary: str


@dataclass(frozen=True, slots=True)
class QueryModel:
    """What a metric query can refer to, by these names."""

    name: str
    namespace: str
    target: str
    service: str
    ingress: str
    route: str
    interval: str
    variables: Mapping[str, str]


class CanarySpec(Model, kw_only=True):
    """What the user wants."""

    provider: Annotated[str, enum(*PROVIDERS)] = ""
    """Who routes traffic for this Canary; the operator's setting when empty."""
    metrics_server: str = ""
    """URL of the Prometheus for built-in metrics and inline queries; the operator's setting when empty."""
    target_ref: TargetRef
    """The workload that is released."""
    autoscaler_ref: AutoscalerRef | None = None
    """The scaler of the target."""
    ingress_ref: IngressRef | None = None
    """The Ingress that routes to the apex Service (nginx, skipper)."""
    route_ref: RouteRef | None = None
    """The route that leads to the apex Service (apisix)."""
    upstream_ref: UpstreamRef | None = None
    """The Upstream whose settings are copied (gloo)."""
    service: ServiceSpec = ServiceSpec(port=0)
    """What Services and routes are generated."""
    analysis: Analysis
    """How a revision is judged, and how fast it gets traffic."""
    progress_deadline_seconds: Annotated[int, NUMBER] | None = None
    """Seconds without progress after which a workload that is not ready fails the run; 600 when absent."""
    skip_analysis: bool = False
    """Promote every revision without judging it."""
    revert_on_deletion: bool = False
    """When the Canary is deleted, put everything back as it was before."""
    suspend: bool = False
    """Do nothing for this Canary."""


class Canary(Model):
    """One object of kind Canary, group flagger.app, version v1beta1."""

    metadata: Metadata
    """Standard metadata."""
    spec: CanarySpec
    """What the user wants."""
    status: CanaryStatus = CanaryStatus()
    """What the operator did."""

    @classmethod
    def parse(cls, obj: object) -> "Canary":
        """Return the typed form of a plain object.

        Raises:
            FieldError: a field has the wrong type or is missing, so nothing can be done for this object.
        """
        return decode(_with_legacy_analysis(obj), cls)

    @property
    def name(self) -> str:
        """Return the name of the Canary itself, not the target's."""
        return self.metadata.name

    @property
    def namespace(self) -> str:
        """Return the namespace of the Canary and of everything it owns."""
        return self.metadata.namespace

    @property
    def key(self) -> str:
        """Return `namespace/name`."""
        return f"{self.namespace}/{self.name}"

    @property
    def service_names(self) -> ServiceNames:
        """Return the names of the apex, primary and canary Service."""
        apex = self.spec.service.name or self.target_name
        return ServiceNames(apex, f"{apex}-primary", f"{apex}-canary")

    @property
    def target_name(self) -> str:
        """Return the name of the target."""
        return self.spec.target_ref.name

    @property
    def primary_name(self) -> str:
        """Return the name of the primary workload."""
        return f"{self.target_name}-primary"

    @property
    def port_name(self) -> str:
        """Return the name of the main port."""
        return self.spec.service.port_name or DEFAULT_PORT_NAME

    @property
    def target_port(self) -> int | str:
        """Return the container port, by number or name, that the main port leads to."""
        return self.spec.service.target_port or self.spec.service.port

    @property
    def progress_deadline(self) -> timedelta:
        """Return the time without progress after which an unready workload has failed; may be negative."""
        limit = self.spec.progress_deadline_seconds
        return seconds(DEFAULT_PROGRESS_DEADLINE if limit is None else limit)

    @property
    def skip_analysis(self) -> bool:
        """Say whether revisions are promoted without being judged."""
        return self.spec.skip_analysis

    @property
    def owner_reference(self) -> dict[str, Any]:
        """Return the reference that ties a generated object to this Canary."""
        return {
            "apiVersion": API_VERSION,
            "kind": "Canary",
            "name": self.name,
            "uid": self.metadata.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }

    @property
    def is_deleting(self) -> bool:
        """Say whether deletion was asked for."""
        return bool(self.metadata.deletion_timestamp)

    def interval(self, floor: timedelta = INTERVAL_FLOOR) -> timedelta:
        """Return the time between two ticks, never below the operator's `floor`."""
        return self.spec.analysis.interval_at_least(floor)

    def provider(self, default: str) -> str:
        """Return who routes traffic for this Canary; `default` is the operator's setting."""
        return self.spec.provider or default

    def strategy(self, default_provider: str) -> Strategy:
        """Return how a new revision gets traffic with the provider that counts."""
        return self.spec.analysis.on(self.provider(default_provider)).strategy

    def locate(self, ref: CrossNamespaceRef | UpstreamRef) -> Key:
        """Return namespace and name of a referenced object; an empty namespace is the Canary's own."""
        return Key(ref.namespace or self.namespace, ref.name)

    def query_model(
        self,
        interval: str = DEFAULT_METRIC_INTERVAL,
        variables: Mapping[str, str] | None = None,
        *,
        route: str = "",
    ) -> QueryModel:
        """Return what a metric query can refer to; `route` replaces the route's name (Knative: revision)."""
        spec, target = self.spec, self.target_name
        return QueryModel(
            name=self.name,
            namespace=self.namespace,
            target=target,
            service=self.service_names.apex,
            ingress=spec.ingress_ref.name if spec.ingress_ref else target,
            route=route or (spec.route_ref.name if spec.route_ref else target),
            interval=interval,
            variables=variables or {},
        )


def _with_legacy_analysis(obj: Any) -> Any:
    """Read `canaryAnalysis`, the name before v1beta1, where `analysis` is absent."""
    match obj:
        case {"spec": {"canaryAnalysis": {} as legacy} as spec} if spec.get("analysis") is None:
            return {**obj, "spec": {**spec, "analysis": legacy}}
    return obj
