"""`spec.service.trafficPolicy`: settings that go into both Istio DestinationRules as they are."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from msgspec import field

from flagger.api.model import Model
from flagger.api.schema import INT32, JsonSchema, enum, exactly_one


class HttpConnectionPool(Model):
    """Limits of HTTP connections; absent limits are Istio's."""

    h2_upgrade_policy: Annotated[str, enum("DEFAULT", "DO_NOT_UPGRADE", "UPGRADE")] = ""
    """Whether HTTP/1.1 connections are upgraded to HTTP/2."""
    http1_max_pending_requests: Annotated[int, INT32] | None = None
    """Greatest number of requests that wait for a connection."""
    http2_max_requests: Annotated[int, INT32] | None = None
    """Greatest number of requests under way."""
    max_requests_per_connection: Annotated[int, INT32] | None = None
    """Requests after which a connection is closed."""
    max_retries: Annotated[int, INT32] | None = None
    """Greatest number of retries under way."""
    idle_timeout: str = ""
    """Duration after which an idle connection is closed."""


class ConnectionPool(Model):
    """Limits of connections."""

    http: HttpConnectionPool | None = None
    """Limits of HTTP connections."""


class HttpCookie(Model):
    """A cookie that pins a client to a pod."""

    name: str = ""
    """Name of the cookie."""
    path: str = ""
    """Path of the cookie."""
    ttl: str = ""
    """Lifetime of the cookie, a duration."""


class ConsistentHash(Model):
    """Pins clients to pods by a hash of one property of the request."""

    http_header_name: str | None = None
    """Hash this header."""
    http_cookie: HttpCookie | None = None
    """Hash this cookie."""
    use_source_ip: bool | None = None
    """Hash the client's address."""
    http_query_parameter_name: str | None = None
    """Hash this query parameter."""
    minimum_ring_size: int | None = None
    """Least number of virtual nodes on the hash ring."""


class LocalityDistribute(Model):
    """Where the traffic of one locality goes."""

    from_: str = field(default="", name="from")
    """Locality of the client, region/zone/sub-zone."""
    to: Mapping[str, int] = field(default_factory=dict)
    """Locality to its share in percent."""


class LocalityFailover(Model):
    """Where the traffic of one region goes when nothing there is healthy."""

    from_: str = field(default="", name="from")
    """Region of the client."""
    to: str = ""
    """Region that takes over."""


class LocalityLb(Model):
    """Load balancing that knows where clients and pods are."""

    enabled: bool | None = None
    """Whether locality counts; Istio's setting when absent."""
    distribute: tuple[LocalityDistribute, ...] = ()
    """Shares of localities."""
    failover: tuple[LocalityFailover, ...] = ()
    """Regions that take over."""


_HASHES = exactly_one("httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName")


class LoadBalancer(Model):
    """How a pod is chosen: by a simple rule, or by a hash that pins clients."""

    SCHEMA: ClassVar[JsonSchema] = {
        "oneOf": [
            {"required": ["simple"]},
            {"required": ["consistentHash"], "properties": {"consistentHash": _HASHES}},
        ]
    }

    simple: Annotated[
        str | None, enum("ROUND_ROBIN", "LEAST_CONN", "RANDOM", "PASSTHROUGH", "LEAST_REQUEST")
    ] = None
    """Rule without memory."""
    consistent_hash: ConsistentHash | None = None
    """Rule that pins clients."""
    locality_lb_setting: LocalityLb | None = None
    """Load balancing that knows where clients and pods are."""
    warmup_duration_secs: str = ""
    """Duration over which a new pod gets more and more traffic."""


class OutlierDetection(Model):
    """When a pod that fails is left out for a while; absent settings are Istio's."""

    base_ejection_time: str = ""
    """Least duration of being left out."""
    interval: str = ""
    """Duration between two examinations."""
    consecutive_5xx_errors: int | None = field(default=None, name="consecutive5xxErrors")
    """Answers of 500 and above in a row."""
    consecutive_errors: Annotated[int, INT32] | None = None
    """Errors in a row (deprecated by Istio)."""
    consecutive_gateway_errors: Annotated[int, INT32] | None = None
    """Answers of 502, 503, 504 in a row."""
    consecutive_local_origin_failures: Annotated[int, INT32] | None = None
    """Failures to connect in a row."""
    max_ejection_percent: Annotated[int, INT32] | None = None
    """Greatest share of pods left out, in percent."""
    min_health_percent: Annotated[int, INT32] | None = None
    """Share of healthy pods, in percent, below which nothing is left out."""
    split_external_local_origin_errors: bool | None = None
    """Whether failures to connect are counted apart."""


class ClientTls(Model):
    """TLS towards the pods."""

    mode: Annotated[str, enum("DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL")] = ""
    """Whether and how connections are encrypted."""
    ca_certificates: str = ""
    """File with the authorities that are trusted."""
    client_certificate: str = ""
    """File with the client's certificate."""
    private_key: str = ""
    """File with the client's key."""
    sni: str = ""
    """Server name sent in the handshake."""
    subject_alt_names: tuple[str, ...] = ()
    """Names the server's certificate may have."""


class TrafficPolicy(Model):
    """Settings of both Istio DestinationRules, primary and canary."""

    connection_pool: ConnectionPool | None = None
    """Limits of connections."""
    load_balancer: LoadBalancer | None = None
    """How a pod is chosen."""
    outlier_detection: OutlierDetection | None = None
    """When a pod that fails is left out for a while."""
    tls: ClientTls | None = None
    """TLS towards the pods."""
