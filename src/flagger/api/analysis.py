"""`spec.analysis`: how a revision is judged, and how fast it gets traffic."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar

from msgspec import field
from msgspec.structs import replace

from flagger.api.matching import AnalysisMatch
from flagger.api.model import Model
from flagger.api.quantities import duration_or, seconds
from flagger.api.references import CrossNamespaceRef
from flagger.api.schema import NUMBER, SHORT_DURATION, JsonSchema, enum, keywords

TOTAL_WEIGHT = 100
"""What all weights of a route add up to."""
DEFAULT_INTERVAL = timedelta(seconds=60)
INTERVAL_FLOOR = timedelta(seconds=10)
"""Shortest time between ticks unless the operator is told otherwise."""
DEFAULT_METRIC_INTERVAL = "1m"
DEFAULT_WEBHOOK_TIMEOUT = timedelta(seconds=10)
DEFAULT_READY_THRESHOLD = 100
DEFAULT_COOKIE_MAX_AGE = 86400
KUBERNETES_ITERATIONS = 10
"""Iterations of a Canary on plain Kubernetes networking that names none."""

REQUEST_SUCCESS_RATE = "request-success-rate"
REQUEST_DURATION = "request-duration"


class Strategy(StrEnum):
    """How a new revision gets traffic; the values are those of the metric label `deployment_strategy`."""

    CANARY = "canary"
    """A growing share of all requests."""
    AB = "ab-testing"
    """All requests that match a condition."""
    BLUE_GREEN = "blue-green"
    """All requests at once, after the analysis."""


class HookType(StrEnum):
    """When a webhook is called."""

    NONE = ""
    """The same as rollout."""
    CONFIRM_ROLLOUT = "confirm-rollout"
    """Before a run starts; fails until it may."""
    PRE_ROLLOUT = "pre-rollout"
    """Before the new revision gets traffic."""
    ROLLOUT = "rollout"
    """In every analysis pass, before the metrics."""
    CONFIRM_PROMOTION = "confirm-promotion"
    """Before the promotion; fails until it may happen."""
    POST_ROLLOUT = "post-rollout"
    """After the run ended."""
    EVENT = "event"
    """For every event of the Canary."""
    ROLLBACK = "rollback"
    """In every tick of a run; success rolls back."""
    CONFIRM_TRAFFIC_INCREASE = "confirm-traffic-increase"
    """Before every increase of the weight; fails until it may happen."""


class AlertSeverity(StrEnum):
    """Severity of an alert."""

    NONE = ""
    """Not given: the same as info."""
    INFO = "info"
    WARN = "warn"
    ERROR = "error"

    @property
    def rank(self) -> int:
        """Return the place in the order info, warn, error, from 0."""
        return max(0, list(AlertSeverity).index(self) - 1)


class ThresholdRange(Model):
    """Inclusive bounds of a metric; an absent bound is open."""

    min: float | None = None
    """The check fails below this value."""
    max: float | None = None
    """The check fails above this value."""


class Metric(Model):
    """One measurement of an analysis pass."""

    name: str
    """request-success-rate and request-duration are built in; any other name is a label."""
    interval: Annotated[str, SHORT_DURATION] = ""
    """Window of the query, a duration; 1m when empty."""
    threshold: float = 0
    """Deprecated, counts without thresholdRange: least success rate in percent, else the greatest value."""
    threshold_range: ThresholdRange | None = None
    """Inclusive bounds; in percent for request-success-rate, in milliseconds for request-duration."""
    query: str = ""
    """Deprecated inline PromQL template, asked of the metrics server."""
    template_ref: CrossNamespaceRef | None = None
    """The MetricTemplate to evaluate."""
    template_variables: Mapping[str, str] | None = None
    """Values that the query uses as variables."""

    @property
    def window(self) -> str:
        """Return the query window as text, with the default filled in."""
        return self.interval or DEFAULT_METRIC_INTERVAL

    @property
    def is_builtin(self) -> bool:
        """Say whether a built-in query belongs to the name."""
        return self.name in {REQUEST_SUCCESS_RATE, REQUEST_DURATION}

    @property
    def bounds(self) -> ThresholdRange:
        """Return the bounds that count: `thresholdRange`, else the one that `threshold` stands for."""
        if self.threshold_range is not None:
            return self.threshold_range
        if self.name == REQUEST_SUCCESS_RATE:
            return ThresholdRange(min=self.threshold)
        return ThresholdRange(max=self.threshold)


class Webhook(Model, kw_only=True):
    """An HTTP endpoint that is asked or told something."""

    name: str
    """Shown in events."""
    type: HookType = HookType.NONE
    """When the endpoint is called; rollout when empty."""
    url: str
    """Where the request is sent, by POST."""
    timeout: Annotated[str, SHORT_DURATION] = ""
    """Time limit of one attempt, a duration; 10s when empty."""
    retries: Annotated[int, NUMBER] = 0
    """Further attempts after a connection error, 429 or 5xx."""
    disable_tls: bool = field(default=False, name="disableTLS")
    """Do not verify the server's certificate."""
    mute_alert: bool = False
    """Send no alert while this gate is closed."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Texts that are sent along."""

    @property
    def kind(self) -> HookType:
        """Return the type with its default filled in."""
        return self.type or HookType.ROLLOUT

    @property
    def time_limit(self) -> timedelta:
        """Return the limit of one attempt; 10 seconds when absent, unreadable or not positive."""
        limit = duration_or(self.timeout, DEFAULT_WEBHOOK_TIMEOUT)
        return limit if limit > timedelta() else DEFAULT_WEBHOOK_TIMEOUT


class Alert(Model, kw_only=True):
    """Who is told what happens to this Canary."""

    name: str
    """Shown nowhere."""
    severity: AlertSeverity = AlertSeverity.NONE
    """Least severity that is sent; info when empty."""
    provider_ref: CrossNamespaceRef
    """The AlertProvider that is used."""

    def wants(self, severity: AlertSeverity) -> bool:
        """Say whether an alert of this severity is to be sent."""
        return severity.rank >= self.severity.rank


class SessionAffinity(Model):
    """Cookies that keep a client with the version it saw first."""

    cookie_name: str
    """Cookie that pins clients to the new revision."""
    primary_cookie_name: str = ""
    """Cookie that pins clients to the primary for one interval; none when empty."""
    max_age: Annotated[int, keywords(type="number", default=DEFAULT_COOKIE_MAX_AGE)] = DEFAULT_COOKIE_MAX_AGE
    """Lifetime of the new revision's cookie in seconds."""
    domain: str = ""
    """Attribute Domain; left out when empty."""
    path: str = ""
    """Attribute Path; left out when empty."""
    http_only: bool = False
    """Attribute HttpOnly."""
    partitioned: bool = False
    """Attribute Partitioned."""
    same_site: Annotated[str, enum("Strict", "Lax", "None")] = ""
    """Attribute SameSite; left out when empty."""
    secure: bool = False
    """Attribute Secure."""

    @property
    def lifetime(self) -> timedelta:
        """Return the lifetime of the new revision's cookie; a day when 0."""
        return seconds(self.max_age or DEFAULT_COOKIE_MAX_AGE)


class Analysis(Model):
    """How a revision is judged, and how fast it gets traffic.

    Either iterations (with match: A/B, without: blue/green), or stepWeight, or stepWeights.
    """

    SCHEMA: ClassVar[JsonSchema] = {
        "oneOf": [
            {"required": ["interval", "threshold", one]}
            for one in ("iterations", "stepWeight", "stepWeights")
        ]
    }

    interval: Annotated[str, SHORT_DURATION] = ""
    """Time between two steps, a duration; 60s when unreadable."""
    threshold: Annotated[int, NUMBER] = 0
    """Failed checks of a run that roll it back; 1 when not positive."""
    iterations: Annotated[int, NUMBER] = 0
    """Number of checks of an A/B or blue/green run."""
    step_weight: Annotated[int, NUMBER] = 0
    """Increase of the new revision's share per step, in percent."""
    step_weights: tuple[Annotated[int, NUMBER], ...] = ()
    """Shares of the new revision, one per step, in percent and increasing."""
    max_weight: Annotated[int, NUMBER] = 0
    """Share of the new revision at which it is promoted, in percent; 100 when not positive."""
    step_weight_promotion: Annotated[int, NUMBER] = 0
    """Increase of the primary's share per step after the promotion, in percent; all at once when 0."""
    mirror: bool = False
    """Copy requests to the new revision before it answers any."""
    mirror_weight: Annotated[int, NUMBER] = 0
    """Share of requests that are copied, in percent; the provider's default when 0."""
    primary_ready_threshold: Annotated[int, NUMBER] | None = None
    """Share of the primary's pods that must be available, in percent; 100 when absent."""
    canary_ready_threshold: Annotated[int, NUMBER] | None = None
    """Share of the target's pods that must be available, in percent; 100 when absent."""
    match: tuple[AnalysisMatch, ...] = ()
    """Which requests see the new revision in an A/B test; any one condition suffices."""
    metrics: tuple[Metric, ...] = ()
    """Measurements of an analysis pass."""
    webhooks: tuple[Webhook, ...] = ()
    """Endpoints that are asked or told something."""
    alerts: tuple[Alert, ...] = ()
    """Who is told what happens; the operator's own setting when empty."""
    session_affinity: SessionAffinity | None = None
    """Cookies that keep a client with the version it saw first."""

    @property
    def strategy(self) -> Strategy:
        """Return the strategy that the fields ask for."""
        if self.iterations > 0:
            return Strategy.AB if self.match else Strategy.BLUE_GREEN
        return Strategy.CANARY

    @property
    def failure_limit(self) -> int:
        """Return the number of failed checks that rolls back, at least 1."""
        return self.threshold if self.threshold > 0 else 1

    @property
    def weight_limit(self) -> int:
        """Return the share, in percent, at which the next good check promotes; at most 100."""
        if self.step_weights:
            return min(TOTAL_WEIGHT, self.step_weights[-1])
        return min(TOTAL_WEIGHT, self.max_weight) if self.max_weight > 0 else TOTAL_WEIGHT

    @property
    def primary_ready_percent(self) -> int:
        """Return the share of the primary's pods that must be available, in percent."""
        return _present(self.primary_ready_threshold, DEFAULT_READY_THRESHOLD)

    @property
    def canary_ready_percent(self) -> int:
        """Return the share of the target's pods that must be available, in percent."""
        return _present(self.canary_ready_threshold, DEFAULT_READY_THRESHOLD)

    def interval_at_least(self, floor: timedelta = INTERVAL_FLOOR) -> timedelta:
        """Return the time between ticks: 60 s when absent or unreadable, never below `floor`."""
        return max(floor, duration_or(self.interval, DEFAULT_INTERVAL))

    def on(self, provider: str) -> "Analysis":
        """Return the analysis as this provider runs it: `kubernetes` knows blue/green only."""
        if provider != "kubernetes":
            return self
        iterations = self.iterations if self.iterations > 0 else KUBERNETES_ITERATIONS
        return replace(self, match=(), iterations=iterations)


def _present(value: int | None, default: int) -> int:
    return default if value is None else value
