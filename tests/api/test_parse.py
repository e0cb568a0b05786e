"""One object in, one model or one FieldError out."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flagger.api.alert_provider import AlertProvider, AlertProviderType
from flagger.api.analysis import HookType
from flagger.api.canary import Canary
from flagger.api.errors import FieldError
from flagger.api.metric_template import MetricProviderType, MetricTemplate
from flagger.api.model import Model
from flagger.api.phases import Phase
from flagger.api.validate import validate, validate_alert_provider, validate_metric_template
from tests.api.examples import (
    AB,
    ALERT_PROVIDER,
    BLUE_GREEN,
    GONE,
    METRIC_TEMPLATE,
    WEIGHTED,
    a_canary,
    changed,
)

STATUS = {
    "phase": "Progressing",
    "canaryWeight": 20,
    "failedChecks": 1,
    "iterations": 0,
    "lastAppliedSpec": "6c85d7b4f9",
    "lastPromotedSpec": "79fc56d8bd",
    "lastTransitionTime": "2030-01-05T10:12:30Z",
    "trackedConfigs": {"configmap/checkout": "3f1c0b5f7a9be2d1"},
    "conditions": [{"type": "Promoted", "status": "Unknown", "reason": "Progressing"}],
}


def test_reads_every_part() -> None:
    """Names, numbers, lists, maps and references arrive where they belong."""
    canary = a_canary()
    service, analysis = canary.spec.service, canary.spec.analysis

    assert canary.key == "shop/checkout"
    assert service.target_port == "http"
    assert service.apex is not None
    assert service.apex.annotations == {"owner": "payments"}
    assert service.retries is not None
    assert service.retries.per_try_timeout == "1s"
    assert service.traffic_policy is not None
    assert service.traffic_policy.outlier_detection is not None
    assert service.traffic_policy.outlier_detection.consecutive_5xx_errors == 5
    assert service.traffic_policy.load_balancer is not None
    assert service.traffic_policy.load_balancer.locality_lb_setting is not None
    assert service.traffic_policy.load_balancer.locality_lb_setting.distribute[0].from_ == "eu/*"
    assert analysis.step_weights == (5, 25, 60)
    assert [hook.type for hook in analysis.webhooks] == [
        HookType.CONFIRM_ROLLOUT,
        HookType.PRE_ROLLOUT,
        HookType.NONE,
    ]
    assert analysis.webhooks[2].disable_tls
    assert analysis.metrics[1].template_ref is not None
    assert analysis.metrics[1].template_ref.namespace == "observability"


def test_reads_the_status() -> None:
    """A run in flight is read as it was written; upstream's null for a time that never was means absent."""
    status = a_canary(status=STATUS).status

    assert (status.phase, status.canary_weight, status.failed_checks) == (Phase.PROGRESSING, 20, 1)
    assert status.promoted is not None
    assert status.promoted.reason == "Progressing"
    assert status.last_transition_time is not None
    assert a_canary(status={"lastTransitionTime": None, "phase": ""}).status.last_transition_time is None
    assert a_canary().status.promoted is None


def test_reads_templates_and_alert_providers() -> None:
    """The two small kinds arrive whole."""
    template, provider = MetricTemplate.parse(METRIC_TEMPLATE), AlertProvider.parse(ALERT_PROVIDER)

    assert template.key == "observability/lost-baskets"
    assert template.spec.provider.type is MetricProviderType.PROMETHEUS
    assert template.spec.provider.headers == {"X-Scope-OrgID": ("shop", "mall")}
    assert provider.key == "shop/oncall"
    assert provider.spec.type is AlertProviderType.SLACK
    assert provider.spec.channel_or_default == "oncall"
    assert provider.spec.username_or_default == "flagger"


@pytest.mark.parametrize(
    ("changes", "field", "problem"),
    [
        ({"spec.analysis.stepWeights": [5, 2.5]}, "spec.analysis.stepWeights[1]", "2.5 is not an integer"),
        ({"spec.analysis.stepWeight": 2.5}, "spec.analysis.stepWeight", "2.5 is not an integer"),
        ({"spec.analysis.stepWeight": "2"}, "spec.analysis.stepWeight", "'2' is not an integer"),
        ({"spec.analysis.threshold": True}, "spec.analysis.threshold", "true is not an integer"),
        ({"spec.analysis.interval": 30}, "spec.analysis.interval", "30 is not a string"),
        ({"spec.analysis.metrics": {}}, "spec.analysis.metrics", "an object is not a list"),
        (
            {"spec.analysis.metrics.0.threshold": "1"},
            "spec.analysis.metrics[0].threshold",
            "'1' is not a number",
        ),
        ({"spec.analysis.metrics.0.name": GONE}, "spec.analysis.metrics[0].name", "is missing"),
        ({"spec.analysis.webhooks.0.url": GONE}, "spec.analysis.webhooks[0].url", "is missing"),
        ({"spec.analysis.webhooks.0.type": "x"}, "spec.analysis.webhooks[0].type", "invalid enum value 'x'"),
        (
            {"spec.analysis.webhooks.2.metadata": {"a": "b", "c": 3}},
            "spec.analysis.webhooks[2].metadata[...]",
            "3 is not a string",
        ),
        ({"spec.analysis": GONE}, "spec.analysis", "is missing"),
        ({"spec.analysis": None}, "spec.analysis", "is missing"),
        ({"spec": GONE}, "spec", "is missing"),
        ({"spec": []}, "spec", "a list is not an object"),
        ({"spec.service.port": 80.5}, "spec.service.port", "80.5 is not an integer"),
        ({"spec.service.port": GONE}, "spec.service.port", "is missing"),
        ({"spec.service.targetPort": 1.5}, "spec.service.targetPort", "1.5 is not an integer or a string"),
        ({"spec.service.headless": "no"}, "spec.service.headless", "'no' is not true or false"),
        ({"spec.targetRef.name": GONE}, "spec.targetRef.name", "is missing"),
        ({"metadata.name": GONE}, "metadata.name", "is missing"),
        ({"status": {"phase": "Odd"}}, "status.phase", "invalid enum value 'Odd'"),
        ({"status": {"iterations": 0.5}}, "status.iterations", "0.5 is not an integer"),
        (
            {"status": {"lastTransitionTime": "today"}},
            "status.lastTransitionTime",
            "invalid RFC3339 encoded datetime",
        ),
    ],
)
def test_names_the_field_that_cannot_be_read(changes: dict[str, Any], field: str, problem: str) -> None:
    """A value of the wrong kind, or a missing one, is one error of this object with the place and a fix."""
    with pytest.raises(FieldError) as caught:
        Canary.parse(changed(WEIGHTED, changes))

    assert (caught.value.field, caught.value.problem) == (field, problem)
    assert caught.value.fix
    assert str(caught.value) == f"{field}: {problem}; {caught.value.fix}"


@pytest.mark.parametrize("obj", [None, 1, "Canary", [], True])
def test_refuses_what_is_no_object(obj: object) -> None:
    """A thing that is not an object has no field to name."""
    with pytest.raises(FieldError, match="is not an object"):
        Canary.parse(obj)


def test_never_shows_a_large_value() -> None:
    """A whole document in the wrong place does not end up in an event."""
    with pytest.raises(FieldError) as caught:
        a_canary(spec__analysis__threshold="secret" * 100)

    assert caught.value.problem == "a str is not an integer"


@pytest.mark.parametrize("model", [MetricTemplate, AlertProvider])
def test_an_unknown_provider_is_an_error(model: type[MetricTemplate] | type[AlertProvider]) -> None:
    """Nobody is taken for Prometheus or Slack by accident."""
    base, path = {
        MetricTemplate: (METRIC_TEMPLATE, "spec.provider.type"),
        AlertProvider: (ALERT_PROVIDER, "spec.type"),
    }[model]

    with pytest.raises(FieldError, match="invalid enum value 'carrier-pigeon'") as caught:
        model.parse(changed(base, {path: "carrier-pigeon"}))
    assert caught.value.field == path


def test_takes_what_an_api_server_takes() -> None:
    """Whole floats are integers, nulls are absent, and fields of the future are nobody's business."""
    canary = a_canary(
        spec__analysis__threshold=4.0,
        spec__service__apex=None,
        spec__service__novelty={"deep": [1.5]},
        spec__analysis__metrics__0__interval=None,
        metadata__managedFields=[{"manager": "kubectl"}],
    )

    assert canary.spec.analysis.threshold == 4
    assert canary.spec.service.apex is None
    assert canary.spec.analysis.metrics[0].interval == ""


def test_reads_the_analysis_under_its_old_name() -> None:
    """`canaryAnalysis` counts where `analysis` is absent, and only there."""
    old = {"interval": "20s", "stepWeight": 7}
    alone = changed(WEIGHTED, {"spec.analysis": GONE, "spec.canaryAnalysis": old})

    assert Canary.parse(alone).spec.analysis.step_weight == 7
    assert a_canary(spec__canaryAnalysis=old).spec.analysis.step_weight == 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def paths(value: Any, path: str = "") -> list[str]:
    """Every place in an object, as `changed` takes it."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] * bool(path) + [
        deeper for key, item in items for deeper in paths(item, f"{path}.{key}".lstrip("."))
    ]


def plausible(base: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Objects that are right but for one place, and things that are no objects of ours at all."""
    somewhere = st.sampled_from(paths(base))
    return JSON | st.builds(lambda path, value: changed(base, {path: value}), somewhere, JSON)


def broken_or_judged(model: type[Any], obj: object) -> Model | None:
    """Return the model; None when it was refused in the one allowed way."""
    try:
        return model.parse(obj)
    except FieldError:
        return None


@settings(max_examples=300)
@given(plausible(changed(WEIGHTED, {"status": STATUS})) | plausible(AB) | plausible(BLUE_GREEN))
def test_any_json_is_a_canary_or_a_field_error(obj: object) -> None:
    """Nothing that can be stored stops the operator; what can be read can be judged and derived from."""
    canary = broken_or_judged(Canary, obj)
    if isinstance(canary, Canary):
        validate(canary, provider="istio", cross_namespace=False)
        assert canary.interval().total_seconds() >= 10
        assert canary.progress_deadline
        assert canary.spec.analysis.on("kubernetes").iterations > 0


@given(plausible(METRIC_TEMPLATE))
def test_any_json_is_a_template_or_a_field_error(obj: object) -> None:
    """The same for a MetricTemplate."""
    template = broken_or_judged(MetricTemplate, obj)
    if isinstance(template, MetricTemplate):
        validate_metric_template(template)


@given(plausible(ALERT_PROVIDER))
def test_any_json_is_an_alert_provider_or_a_field_error(obj: object) -> None:
    """The same for an AlertProvider."""
    provider = broken_or_judged(AlertProvider, obj)
    if isinstance(provider, AlertProvider):
        validate_alert_provider(provider)
