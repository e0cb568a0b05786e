"""What can be wrong with `spec.analysis`, and with the numbers beside it."""

import re
from collections.abc import Sequence

from flagger.api.analysis import TOTAL_WEIGHT, HookType, Metric, Strategy
from flagger.api.findings import Case, Findings, duration_problem, error, url_problem, warning

_COOKIE_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token of RFC 9110
_TOLD_ONLY = frozenset({HookType.EVENT, HookType.POST_ROLLOUT})
"""Hooks whose failure changes nothing."""


def interval(case: Case) -> Findings:
    """Warn about an interval that cannot be read."""
    text = case.canary.spec.analysis.interval
    if problem := duration_problem(text):
        yield warning("spec.analysis.interval", f"{problem}, 60s is used", "write for example 30s")


def moves(case: Case) -> Findings:
    """Refuse a weighted analysis whose weight never rises: it would neither end nor fail."""
    analysis = case.analysis
    if case.canary.skip_analysis or analysis.strategy is not Strategy.CANARY or analysis.step_weight > 0:
        return
    if analysis.step_weights:
        yield from _rising(analysis.step_weights)
    else:
        yield error(
            "spec.analysis.stepWeight",
            f"{analysis.step_weight} would never move traffic",
            "set stepWeight to 1 or more, or use stepWeights or iterations",
        )


def _rising(ladder: Sequence[int]) -> Findings:
    for index, (below, weight) in enumerate(zip((0, *ladder), ladder, strict=False)):
        if weight <= below:
            yield error(
                f"spec.analysis.stepWeights[{index}]",
                f"{weight} is not more than {below}, so the weight would never rise past it",
                "list the weights in rising order, above 0",
            )


def ladder_end(case: Case) -> Findings:
    """Refuse a ladder that ends at nothing while `stepWeight` does the steps."""
    analysis = case.analysis
    if analysis.step_weight > 0 and analysis.step_weights and analysis.step_weights[-1] <= 0:
        index = len(analysis.step_weights) - 1
        problem = f"{analysis.step_weights[-1]} is the greatest weight, so nothing would be tried"
        yield error(f"spec.analysis.stepWeights[{index}]", problem, "end with a weight above 0")


def max_weight(case: Case) -> Findings:
    """Warn about a limit above everything."""
    if case.analysis.max_weight > TOTAL_WEIGHT:
        problem = f"{case.analysis.max_weight} is more than all traffic, 100 is used"
        yield warning("spec.analysis.maxWeight", problem, "use 100 or less")


def percentages(case: Case) -> Findings:
    """Refuse shares outside 0 to 100, which could never be reached."""
    analysis = case.canary.spec.analysis
    shares = {
        "mirrorWeight": analysis.mirror_weight,
        "primaryReadyThreshold": analysis.primary_ready_percent,
        "canaryReadyThreshold": analysis.canary_ready_percent,
    }
    for name, share in shares.items():
        if not 0 <= share <= TOTAL_WEIGHT:
            yield error(f"spec.analysis.{name}", f"{share} is no percentage", "use a number from 0 to 100")


def selects_someone(case: Case) -> Findings:
    """Refuse an A/B condition that says nothing, which every request would meet."""
    for index, match in enumerate(case.analysis.match):
        if not (match.headers or match.query_params or match.source_labels):
            problem = "is empty and would select every request"
            yield error(f"spec.analysis.match[{index}]", problem, "give headers, queryParams or sourceLabels")


def session_cookies(case: Case) -> Findings:
    """Refuse cookies without a usable name, or two of the same name."""
    affinity = case.canary.spec.analysis.session_affinity
    if affinity is None:
        return
    field = "spec.analysis.sessionAffinity"
    if not affinity.cookie_name:
        yield error(f"{field}.cookieName", "is empty", "name the cookie")
    elif affinity.cookie_name == affinity.primary_cookie_name:
        problem = f"is {affinity.cookie_name!r} like cookieName"
        yield error(f"{field}.primaryCookieName", problem, "use two different names")
    names = {"cookieName": affinity.cookie_name, "primaryCookieName": affinity.primary_cookie_name}
    for member, name in names.items():
        if name and _COOKIE_NAME.fullmatch(name) is None:
            problem = f"{name!r} is no name of a cookie"
            yield error(f"{field}.{member}", problem, "use letters, digits, - and _")
    if affinity.max_age < 0:
        problem = f"{affinity.max_age} makes clients drop the cookie at once"
        yield warning(f"{field}.maxAge", problem, "use a number of seconds above 0")


def metrics(case: Case) -> Findings:
    """Refuse metrics that cannot be asked for, or that no value can pass."""
    for index, metric in enumerate(case.canary.spec.analysis.metrics):
        yield from _metric(f"spec.analysis.metrics[{index}]", metric)


def _metric(field: str, metric: Metric) -> Findings:
    if not (metric.is_builtin or metric.query or metric.template_ref):
        problem = f"{metric.name!r} is not built in and has neither templateRef nor query"
        yield error(field, problem, "add templateRef, or use request-success-rate or request-duration")
    if metric.template_ref is not None and not metric.template_ref.name:
        yield error(f"{field}.templateRef.name", "is empty", "name the MetricTemplate")
    if problem_of_interval := duration_problem(metric.window):
        yield error(f"{field}.interval", problem_of_interval, "write for example 1m")
    least, greatest = metric.bounds.min, metric.bounds.max
    if least is not None and greatest is not None and least > greatest:
        problem = f"min {least:g} is more than max {greatest:g}, so no value passes"
        yield error(f"{field}.thresholdRange", problem, "swap them or remove one")


def webhooks(case: Case) -> Findings:
    """Judge hook URLs by what their failure would do, and warn about time limits that cannot be used."""
    for index, hook in enumerate(case.canary.spec.analysis.webhooks):
        field = f"spec.analysis.webhooks[{index}]"
        if problem := url_problem(hook.url):
            judge = warning if hook.kind in _TOLD_ONLY else error
            yield judge(
                f"{field}.url", f"of hook {hook.name!r} {problem}", "write an http:// or https:// URL"
            )
        if hook.timeout and (problem := duration_problem(hook.timeout)):
            yield warning(f"{field}.timeout", f"{problem}, 10s is used", "write for example 30s")
        if hook.retries < 0:
            yield warning(f"{field}.retries", f"{hook.retries} is taken for 0", "use 0 or more")


def alerts(case: Case) -> Findings:
    """Refuse an alert to nobody."""
    for index, alert in enumerate(case.canary.spec.analysis.alerts):
        if not alert.provider_ref.name:
            field = f"spec.analysis.alerts[{index}].providerRef.name"
            yield error(field, "is empty", "name the AlertProvider")


def metrics_server(case: Case) -> Findings:
    """Refuse a metrics server that cannot be asked."""
    address = case.canary.spec.metrics_server
    if address and (problem := url_problem(address)):
        yield error("spec.metricsServer", problem, "write an http:// or https:// URL")
