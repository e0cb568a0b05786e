"""Which provider serves which `spec.provider.type` of a MetricTemplate."""

from collections.abc import Mapping

from flagger.api.errors import FieldError
from flagger.api.metric_template import MetricProvider as ProviderSpec
from flagger.api.metric_template import MetricProviderType
from flagger.metrics.base import Factory, MetricProvider
from flagger.metrics.providers.prometheus import Prometheus
from flagger.outbound import Outbound

PROVIDERS: Mapping[MetricProviderType, Factory] = {
    MetricProviderType.PROMETHEUS: Prometheus.from_spec,
}
"""Rows are added as providers are; the other types of the enumeration are refused with a clear message."""


def provider_for(spec: ProviderSpec, credentials: Mapping[str, str], outbound: Outbound) -> MetricProvider:
    """Return the provider that a MetricTemplate asks for; `credentials` are the Secret's decoded values.

    Raises:
        FieldError: the type is not supported, or its settings are incomplete.
    """
    factory = PROVIDERS.get(spec.type)
    if factory is None:
        known = ", ".join(sorted(PROVIDERS))
        raise FieldError("spec.provider.type", f"{spec.type} is not supported", f"use one of: {known}")
    return factory(spec, credentials, outbound)
