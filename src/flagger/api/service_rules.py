"""What can be wrong with `spec.service`."""

import re
from collections.abc import Mapping

from msgspec.structs import fields

from flagger.api.analysis import Strategy
from flagger.api.findings import Case, Findings, duration_problem, error, warning
from flagger.api.matching import HeaderMatch, StringMatch
from flagger.api.quantities import parse_duration

MAX_PORT = 65535
MAX_NAME = 63
"""Characters of a Service name."""
_HOSTNAME = re.compile(r"(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def main_port(case: Case) -> Findings:
    """Refuse a missing or impossible port; a Knative Service brings its own."""
    service = case.canary.spec.service
    if case.canary.spec.target_ref.is_knative:
        return
    if service.port == 0:
        yield error("spec.service.port", "is missing", "set the port of the Services")
    elif not 0 < service.port <= MAX_PORT:
        yield error("spec.service.port", f"{service.port} is no port", "use a number from 1 to 65535")
    if isinstance(service.target_port, int) and not 0 <= service.target_port <= MAX_PORT:
        problem = f"{service.target_port} is no port"
        yield error("spec.service.targetPort", problem, "use a number from 1 to 65535, or a port's name")


def name_length(case: Case) -> Findings:
    """Refuse a name whose longest derived Service name the API server would not take."""
    longest = case.canary.service_names.primary
    if len(longest) > MAX_NAME and not case.canary.spec.target_ref.is_knative:
        yield error(
            "spec.service.name",
            f"{longest!r} has {len(longest)} characters, and a Service name may have {MAX_NAME}",
            "set a shorter name",
        )


def delegation(case: Case) -> Findings:
    """Refuse delegation together with hosts or gateways, which the delegating side sets."""
    service = case.canary.spec.service
    if case.provider == "istio" and service.delegation and (service.hosts or service.gateways):
        yield error(
            "spec.service.delegation",
            "cannot be combined with hosts or gateways",
            "remove hosts and gateways, or turn delegation off",
        )


_IN_THE_ROUTE = (
    *("hosts", "gateways", "gateway_refs", "delegation", "match", "headers", "rewrite", "timeout"),
    *("backend_timeout", "retries", "cors_policy", "mirror", "traffic_policy"),
)
"""What a generated route would have."""


def beside_routes(case: Case) -> Findings:
    """Warn about what has no effect where no route is generated."""
    service = case.canary.spec.service
    for info in fields(type(service)) if case.canary.route_refs else ():
        if info.name in _IN_THE_ROUTE and getattr(service, info.name):
            problem = "has no effect, as the routes are your own"
            yield warning(f"spec.service.{info.encode_name}", problem, "write it into the route")


def mirror_backends(case: Case) -> Findings:
    """Refuse a static mirror without a backend, or to a Service without a port."""
    for index, mirror in enumerate(case.canary.spec.service.mirror):
        field, backend = f"spec.service.mirror[{index}].backendRef", mirror.backend_ref
        if backend is None:
            yield error(field, "is missing", "name the backend that receives the copies")
        elif not backend.group and backend.kind == "Service" and backend.port is None:
            yield error(f"{field}.port", "is missing for a Service", "add the port")


def timeouts(case: Case) -> Findings:
    """Refuse time limits that the generated routes cannot hold.

    Contour has words of its own for some of them, and the other providers skip what they cannot read.
    """
    service = case.canary.spec.service
    limits = {"timeout": service.timeout, "backendTimeout": service.backend_timeout}
    if service.retries is not None and case.provider == "istio":
        limits["retries.perTryTimeout"] = service.retries.per_try_timeout
    if not (case.provider == "istio" or case.on_gateway_api):
        return
    wrong = {name: duration_problem(text) for name, text in limits.items() if text}
    for name, problem in wrong.items():
        if problem is not None:
            yield error(f"spec.service.{name}", problem, "write a duration such as 30s or 1m30s")
    if case.on_gateway_api and wrong.get("timeout", "") is None and wrong.get("backendTimeout", "") is None:
        yield from _attempt_within_request(service.timeout, service.backend_timeout)


def _attempt_within_request(request: str, attempt: str) -> Findings:
    if parse_duration(attempt) > parse_duration(request):
        yield error(
            "spec.service.backendTimeout",
            f"{attempt} is longer than timeout {request}",
            "shorten it, or lengthen timeout",
        )


def cors_age(case: Case) -> Findings:
    """Warn about an age of CORS answers that Gateway API routes leave out."""
    cors = case.canary.spec.service.cors_policy
    if case.on_gateway_api and cors and cors.max_age and (problem := duration_problem(cors.max_age)):
        yield warning("spec.service.corsPolicy.maxAge", f"{problem} and is left out", "write for example 24h")


def gateway_hosts(case: Case) -> Findings:
    """Refuse host names that an HTTPRoute cannot hold, such as a lone `*`."""
    for index, host in enumerate(case.canary.spec.service.hosts if case.on_gateway_api else ()):
        if _HOSTNAME.fullmatch(host) is None:
            yield error(
                f"spec.service.hosts[{index}]",
                f"{host!r} is no host name for {case.provider}",
                "use a name such as app.example.com or *.example.com, or remove the field to take all hosts",
            )


def gateway_matches(case: Case) -> Findings:
    """Refuse conditions that an HTTPRoute cannot express: leaving one out would widen the route."""
    if not case.on_gateway_api:
        return
    for index, match in enumerate(case.canary.spec.service.match):
        field = f"spec.service.match[{index}]"
        if match.uri is not None and not (match.uri.regex or match.uri.exact or match.uri.prefix):
            yield error(f"{field}.uri", "says nothing", "give exact, prefix or regex")
        if match.method is not None and not match.method.exact:
            yield error(f"{field}.method", f"can only be exact on {case.provider}", "give exact")
        yield from _exact_or_regex(case, f"{field}.headers", match.headers)
        yield from _exact_or_regex(case, f"{field}.queryParams", match.query_params)
    for index, condition in enumerate(case.analysis.match):
        field = f"spec.analysis.match[{index}]"
        yield from _exact_or_regex(case, f"{field}.headers", condition.headers)
        yield from _exact_or_regex(case, f"{field}.queryParams", condition.query_params)
        if not (condition.headers or condition.query_params):
            problem = f"has no condition that {case.provider} can express"
            yield error(field, problem, "give headers or queryParams")


def _exact_or_regex(case: Case, field: str, conditions: Mapping[str, HeaderMatch | StringMatch]) -> Findings:
    for name, condition in conditions.items():
        if not (condition.exact or condition.regex):
            yield error(
                f"{field}.{name}",
                f"can only be exact or regex on {case.provider}",
                "give one of these, or choose a provider that can",
            )


def prefix_rewrite(case: Case) -> Findings:
    """Refuse the replacement of a prefix where a rule does not match exactly one prefix."""
    service = case.canary.spec.service
    rewrite = service.rewrite
    if not case.on_gateway_api or rewrite is None or rewrite.type != "ReplacePrefixMatch" or not rewrite.uri:
        return
    alternatives = max(1, len(service.match)) * max(1, len(_ab_match(case)))
    if alternatives > 1 or any(match.uri and not match.uri.prefix for match in service.match):
        yield error(
            "spec.service.rewrite.type",
            "ReplacePrefixMatch needs rules with one prefix match each",
            "match one prefix, or use ReplaceFullPath",
        )


def _ab_match(case: Case) -> tuple[object, ...]:
    return case.analysis.match if case.analysis.strategy is Strategy.AB else ()
