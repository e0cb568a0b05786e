"""The MetricTemplate: a metric query that Canaries can share."""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import field

from flagger.api.model import Model, decode
from flagger.api.references import Metadata, SecretRef


class MetricProviderType(StrEnum):
    """A metric backend."""

    PROMETHEUS = "prometheus"
    INFLUXDB = "influxdb"
    DATADOG = "datadog"
    EXTERNAL_METRICS = "externalmetrics"
    STACKDRIVER = "stackdriver"
    CLOUDWATCH = "cloudwatch"
    NEWRELIC = "newrelic"
    GRAPHITE = "graphite"
    DYNATRACE = "dynatrace"
    KEPTN = "keptn"
    SPLUNK = "splunk"


class MetricProvider(Model):
    """Where a query is asked."""

    type: MetricProviderType
    """Kind of the backend."""
    address: str = ""
    """URL of the backend."""
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Further request headers, each with one or more values (prometheus)."""
    secret_ref: SecretRef | None = None
    """Secret with credentials, in the template's namespace; the keys depend on the type."""
    region: str = ""
    """AWS region (cloudwatch)."""
    insecure_skip_verify: bool = False
    """Do not verify the server's certificate (prometheus, graphite, externalmetrics)."""


class MetricTemplateSpec(Model):
    """A query and where to ask it."""

    provider: MetricProvider
    """Where the query is asked."""
    query: str
    """The query; may use name, namespace, target, service, ingress, route, interval and variables."""


class MetricTemplate(Model):
    """One object of kind MetricTemplate, group flagger.app, version v1beta1."""

    metadata: Metadata
    """Standard metadata."""
    spec: MetricTemplateSpec
    """What the user wants."""

    @classmethod
    def parse(cls, obj: object) -> "MetricTemplate":
        """Return the typed form of a plain object.

        Raises:
            FieldError: a field has the wrong type, is missing, or names an unknown provider.
        """
        return decode(obj, cls)

    @property
    def key(self) -> str:
        """Return `namespace/name`."""
        return f"{self.metadata.namespace}/{self.metadata.name}"
