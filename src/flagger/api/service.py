"""`spec.service`: the Services and routes that are generated."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from msgspec import field

from flagger.api.matching import HttpMatch, StrictStringMatch
from flagger.api.model import Model
from flagger.api.schema import (
    DNS_LABEL,
    DNS_SUBDOMAIN,
    INT32,
    INT_OR_STRING,
    NUMBER,
    OBJECT_NAME,
    PORT_NUMBER,
    JsonSchema,
    api_group,
    enum,
    keywords,
    object_kind,
)
from flagger.api.traffic_policy import TrafficPolicy


class CustomMetadata(Model):
    """Labels and annotations for generated objects."""

    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels to set."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Annotations to set."""


class UnmanagedMetadata(Model):
    """Keys whose live values on generated Services are left alone."""

    labels: tuple[str, ...] = ()
    """Keys of labels."""
    annotations: tuple[str, ...] = ()
    """Keys of annotations."""


class HttpRetries(Model):
    """Retries of failed requests."""

    attempts: Annotated[int, INT32] = 0
    """Number of retries."""
    per_try_timeout: str = ""
    """Time limit of one try, a duration."""
    retry_on: str = ""
    """Conditions for a retry, separated by commas."""


class HttpRewrite(Model):
    """Replacements in the request before it reaches a pod."""

    uri: str = ""
    """Path, or prefix of it, that replaces the matched one."""
    authority: str = ""
    """Host that replaces the requested one."""
    type: str = ""
    """Gateway API only: ReplacePrefixMatch replaces the matched prefix, anything else the whole path."""


class HeaderChanges(Model):
    """Changes of one message's headers."""

    add: Mapping[str, str] = field(default_factory=dict)
    """Headers to append."""
    set: Mapping[str, str] = field(default_factory=dict)
    """Headers to overwrite."""
    remove: tuple[str, ...] = ()
    """Headers to take away."""


class Headers(Model):
    """Changes of headers."""

    request: HeaderChanges | None = None
    """Changes before the request reaches a pod."""
    response: HeaderChanges | None = None
    """Changes before the response reaches the client."""


class CorsPolicy(Model):
    """Answers to browsers that ask whether another origin may call."""

    allow_origin: tuple[str, ...] = ()
    """Origins allowed, as texts."""
    allow_origins: tuple[StrictStringMatch, ...] = ()
    """Origins allowed, as conditions."""
    allow_methods: tuple[str, ...] = ()
    """Methods allowed."""
    allow_headers: tuple[str, ...] = ()
    """Request headers allowed."""
    expose_headers: tuple[str, ...] = ()
    """Response headers that scripts may read."""
    max_age: str = ""
    """How long a browser may keep the answer, a duration."""
    allow_credentials: bool | None = None
    """Whether requests may carry credentials; not mentioned in the answer when absent."""


class BackendRef(Model, kw_only=True):
    """The backend that receives mirrored requests."""

    SCHEMA: ClassVar[JsonSchema] = {
        "x-kubernetes-validations": [
            {
                "rule": "self.group != '' || self.kind != 'Service' || has(self.port)",
                "message": "Must have port for Service reference",
            }
        ]
    }

    group: Annotated[str, api_group("")] = ""
    """API group of the backend; empty for core."""
    kind: Annotated[str, object_kind("Service")] = "Service"
    """Kind of the backend."""
    name: Annotated[str, OBJECT_NAME]
    """Name of the backend."""
    namespace: Annotated[str, DNS_LABEL] = ""
    """Namespace of the backend; the Canary's own when empty."""
    port: Annotated[int, PORT_NUMBER] | None = None
    """Port of the backend; required for a Service."""


class Mirror(Model):
    """A backend that permanently receives a copy of every request (Gateway API)."""

    backend_ref: BackendRef | None = None
    """The backend that receives the copies."""


class GatewayRef(Model, kw_only=True):
    """A Gateway (or other parent) to which generated routes attach."""

    group: Annotated[str, api_group("gateway.networking.k8s.io")] = "gateway.networking.k8s.io"
    """API group of the parent."""
    kind: Annotated[str, object_kind("Gateway")] = "Gateway"
    """Kind of the parent."""
    name: Annotated[str, OBJECT_NAME]
    """Name of the parent."""
    namespace: Annotated[str, DNS_LABEL] = ""
    """Namespace of the parent; the Canary's own when empty."""
    section_name: Annotated[str, DNS_SUBDOMAIN] = ""
    """Listener of the parent; all that fit when empty."""
    port: Annotated[int, PORT_NUMBER] | None = None
    """Port of the parent; all that fit when absent."""


class ServiceSpec(Model, kw_only=True):
    """What Services and routes are generated, and how requests are treated on the way."""

    name: str = ""
    """Services are NAME, NAME-primary, NAME-canary; the target's name when empty. Do not change it later."""
    port: Annotated[int, NUMBER]
    """Port of the Services."""
    port_name: str = ""
    """Name of that port; http when empty."""
    app_protocol: str = ""
    """Application protocol of that port; tcp makes Istio routes TCP routes."""
    target_port: Annotated[int | str, INT_OR_STRING] = 0
    """Container port, by number or name; the same as port when absent."""
    port_discovery: bool = False
    """Add all other container ports of the target to the Services."""
    headless: bool = False
    """Create Services without a cluster address; no effect on existing ones."""
    traffic_distribution: Annotated[str, enum("PreferClose", "PreferSameZone", "PreferSameNode")] = ""
    """Preference for near endpoints; set when a Service is created."""
    apex: CustomMetadata | None = None
    """Metadata of the apex Service and of the main routing object."""
    primary: CustomMetadata | None = None
    """Metadata of the primary Service."""
    canary: CustomMetadata | None = None
    """Metadata of the canary Service."""
    unmanaged_metadata: UnmanagedMetadata | None = None
    """Metadata keys that are left alone."""
    timeout: str = ""
    """Time limit of a whole request, a duration."""
    backend_timeout: str = ""
    """Time limit of one attempt at a backend, a duration (Gateway API)."""
    retries: HttpRetries | None = None
    """Retries of failed requests."""
    rewrite: HttpRewrite | None = None
    """Replacements in the request before it reaches a pod."""
    headers: Headers | None = None
    """Changes of headers."""
    cors_policy: CorsPolicy | None = None
    """Answers to browsers that ask whether another origin may call."""
    match: tuple[HttpMatch, ...] = ()
    """Which requests the routes take; any one condition suffices, all requests when empty."""
    mirror: tuple[Mirror, ...] = ()
    """Backends that permanently receive a copy of every request (Gateway API)."""
    mesh_name: str = ""
    """App Mesh mesh; required for provider appmesh."""
    backends: tuple[str, ...] = ()
    """App Mesh virtual services (or ARNs) that the pods may call."""
    hosts: tuple[str, ...] = ()
    """Host names of the routes."""
    gateways: tuple[str, ...] = ()
    """Istio gateways; mesh when empty."""
    gateway_refs: Annotated[tuple[GatewayRef, ...], keywords(maxItems=32)] = ()
    """Gateways to which generated routes attach; required for Gateway API."""
    delegation: bool = False
    """Generate a VirtualService without hosts and gateways, for delegation (Istio)."""
    traffic_policy: TrafficPolicy | None = None
    """Settings of both DestinationRules (Istio)."""
