"""What a schema cannot say: every rule about an object that the API server lets through.

Errors stop the one object, which waits until it is changed. Warnings are said once, and work goes on. What
depends on other objects of the cluster (a missing target, a Gateway that refuses) is not judged here.
"""

from collections.abc import Callable, Mapping, Sequence

from flagger.api import analysis_rules, reference_rules, service_rules
from flagger.api.alert_provider import AlertProvider
from flagger.api.canary import Canary
from flagger.api.findings import Case, Finding, Findings, error, url_problem
from flagger.api.metric_template import MetricProviderType, MetricTemplate

Rule = Callable[[Case], Findings]

RULES: Sequence[Rule] = (
    reference_rules.known_provider,  # first: the rules below ask what the provider can do
    reference_rules.known_target,
    reference_rules.knative_pair,
    reference_rules.usable_scaler,
    reference_rules.same_namespace,
    reference_rules.provider_needs,
    service_rules.main_port,
    service_rules.name_length,
    service_rules.delegation,
    service_rules.mirror_backends,
    service_rules.timeouts,
    service_rules.cors_age,
    service_rules.gateway_hosts,
    service_rules.gateway_matches,
    service_rules.prefix_rewrite,
    analysis_rules.interval,
    analysis_rules.moves,
    analysis_rules.ladder_end,
    analysis_rules.max_weight,
    analysis_rules.percentages,
    analysis_rules.selects_someone,
    analysis_rules.session_cookies,
    analysis_rules.metrics,
    analysis_rules.webhooks,
    analysis_rules.alerts,
    analysis_rules.metrics_server,
)


def validate(canary: Canary, *, provider: str, cross_namespace: bool) -> list[Finding]:
    """Return all that is wrong with a Canary, in the order of the rules.

    `provider` is the operator's own, for a Canary that names none; `cross_namespace` says whether references
    into other namespaces are allowed.
    """
    case = Case(canary=canary, provider=canary.provider(provider), cross_namespace=cross_namespace)
    return [finding for rule in RULES for finding in rule(case)]


_NEEDS_ADDRESS = frozenset(
    {
        MetricProviderType.PROMETHEUS,
        MetricProviderType.INFLUXDB,
        MetricProviderType.GRAPHITE,
        MetricProviderType.DYNATRACE,
        MetricProviderType.SPLUNK,
    }
)
_NEEDS_SECRET: Mapping[MetricProviderType, str] = {
    MetricProviderType.DATADOG: "datadog_api_key and datadog_application_key",
    MetricProviderType.STACKDRIVER: "project",
    MetricProviderType.NEWRELIC: "newrelic_account_id and newrelic_query_key",
    MetricProviderType.DYNATRACE: "dynatrace_token",
    MetricProviderType.SPLUNK: "sf_token_key",
}
_SCHEMES: Mapping[MetricProviderType, tuple[str, ...]] = {
    MetricProviderType.SPLUNK: ("http", "https", "ws", "wss"),
}


def validate_metric_template(template: MetricTemplate) -> list[Finding]:
    """Return all that is wrong with a MetricTemplate; its query is not rendered."""
    provider, found = template.spec.provider, []
    schemes = _SCHEMES.get(provider.type, ("http", "https"))
    if not template.spec.query.strip():
        found.append(error("spec.query", "is empty", "write the query"))
    if not provider.address and provider.type in _NEEDS_ADDRESS:
        found.append(error("spec.provider.address", f"is missing for {provider.type}", "add its URL"))
    if provider.address and (problem := url_problem(provider.address, schemes)):
        found.append(error("spec.provider.address", problem, f"write a {schemes[0]}:// URL"))
    if provider.type is MetricProviderType.CLOUDWATCH and not provider.region:
        found.append(error("spec.provider.region", "is missing for cloudwatch", "name the AWS region"))
    if provider.secret_ref is None and provider.type in _NEEDS_SECRET:
        fix = f"refer to a Secret with {_NEEDS_SECRET[provider.type]}"
        found.append(error("spec.provider.secretRef", f"is missing for {provider.type}", fix))
    if provider.secret_ref is not None and not provider.secret_ref.name:
        found.append(error("spec.provider.secretRef.name", "is empty", "name the Secret"))
    return found


def validate_alert_provider(provider: AlertProvider) -> list[Finding]:
    """Return all that is wrong with an AlertProvider; a Secret wins over an address, so both may be given."""
    spec, found = provider.spec, []
    if spec.secret_ref is None and not spec.address:
        found.append(error("spec.address", "is missing, and so is secretRef", "add one of them"))
    if spec.secret_ref is not None and not spec.secret_ref.name:
        found.append(error("spec.secretRef.name", "is empty", "name the Secret"))
    if spec.secret_ref is None and spec.address and (problem := url_problem(spec.address)):
        found.append(error("spec.address", problem, "write an https:// URL"))
    if spec.proxy and (problem := url_problem(spec.proxy)):
        found.append(error("spec.proxy", problem, "write an http:// URL"))
    return found
