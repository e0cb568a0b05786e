"""The primary as it is made from its target, without a server."""

from __future__ import annotations

from flagger.kube.objects import Object
from flagger.rollout.state import Selector
from flagger.workloads.base import Options
from flagger.workloads.deployment import DeploymentWorkload
from flagger.workloads.primary import Draft, identity_of, new_primary, promoted_spec
from tests.workloads.examples import basket, golden

OPTIONS = Options(prefixes=("app.kubernetes.io",))
SELECTOR = Selector("app", "basket")


def made(target: Object, options: Options = OPTIONS) -> Object:
    return new_primary(drafted(target, options))


def drafted(target: Object, options: Options = OPTIONS, identity: str = "id-1") -> Draft:
    return Draft(
        canary=basket(),
        target=target,
        selector=SELECTOR,
        options=options,
        identity=identity,
        fields=DeploymentWorkload.fields,
    )


def test_matches_the_golden_file() -> None:
    """Names, labels, annotations and scheduling are those of the primary; all else is the target's."""
    assert made(golden("target.yaml")) == golden("primary.yaml")


def test_leaves_the_target_as_it_is() -> None:
    """Objects of the caches are everybody's."""
    target = golden("target.yaml")

    made(target)["spec"]["template"]["spec"]["containers"].clear()

    assert target == golden("target.yaml")


def test_selector_labels_decide_which_scheduling_labels_are_renamed() -> None:
    """A label that is no candidate for the selector means something else, even if its value looks alike."""
    primary = made(golden("target.yaml"), Options(labels=("app",)))

    (term,) = primary["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]
    assert term["labelSelector"]["matchLabels"] == {"name": "basket-api", "layer": "api"}


def test_promotion_takes_over_what_a_release_changes() -> None:
    """The template with a new identity and the rollout settings."""
    spec = promoted_spec(drafted(golden("target.yaml"), identity="id-2"))

    assert spec.keys() == {*DeploymentWorkload.fields, "template"}
    assert identity_of(spec["template"]) == "id-2"


def test_promotion_removes_what_the_target_no_longer_sets() -> None:
    """A setting that is gone from the target must not live on in the primary."""
    target = golden("target.yaml")
    del target["spec"]["minReadySeconds"]

    assert promoted_spec(drafted(target))["minReadySeconds"] is None
