"""Which provider serves which `spec.provider.type` of a MetricTemplate."""

from collections.abc import Mapping

from flagger.api.metric_template import MetricProvider as ProviderSpec
from flagger.api.metric_template import MetricProviderType
from flagger.metrics.base import Factory, MetricProvider, Tools
from flagger.metrics.providers.cloudwatch import CloudWatch
from flagger.metrics.providers.datadog import Datadog
from flagger.metrics.providers.dynatrace import Dynatrace
from flagger.metrics.providers.externalmetrics import ExternalMetrics
from flagger.metrics.providers.graphite import Graphite
from flagger.metrics.providers.influxdb import InfluxDb
from flagger.metrics.providers.keptn import Keptn
from flagger.metrics.providers.newrelic import NewRelic
from flagger.metrics.providers.prometheus import Prometheus
from flagger.metrics.providers.splunk import Splunk
from flagger.metrics.providers.stackdriver import Stackdriver

PROVIDERS: Mapping[MetricProviderType, Factory] = {
    MetricProviderType.CLOUDWATCH: CloudWatch.from_spec,
    MetricProviderType.DATADOG: Datadog.from_spec,
    MetricProviderType.DYNATRACE: Dynatrace.from_spec,
    MetricProviderType.EXTERNAL_METRICS: ExternalMetrics.from_spec,
    MetricProviderType.GRAPHITE: Graphite.from_spec,
    MetricProviderType.INFLUXDB: InfluxDb.from_spec,
    MetricProviderType.KEPTN: Keptn.from_spec,
    MetricProviderType.NEWRELIC: NewRelic.from_spec,
    MetricProviderType.PROMETHEUS: Prometheus.from_spec,
    MetricProviderType.SPLUNK: Splunk.from_spec,
    MetricProviderType.STACKDRIVER: Stackdriver.from_spec,
}
"""One row for each type that the CRD allows."""


def provider_for(spec: ProviderSpec, credentials: Mapping[str, str], tools: Tools) -> MetricProvider:
    """Return the provider that a MetricTemplate asks for; `credentials` are the Secret's decoded values.

    Raises:
        FieldError: its settings are incomplete.
    """
    return PROVIDERS[spec.type](spec, credentials, tools)
