"""Which labels and annotations travel from a target to its primary."""

from __future__ import annotations

import pytest

from flagger.api.names import LAST_APPLIED
from flagger.kube.objects import Object
from flagger.rollout.state import Selector
from flagger.workloads.base import TargetError
from flagger.workloads.metadata import find_selector, pod_annotations, pod_labels, stripped, with_prefix

DEFAULT = ("app", "name", "app.kubernetes.io/name")
KEYS = {"foo": "1", "bar": "2", "lorem": "3", "kustomize.toolkit.fluxcd.io/name": "4"}


def a_target(**labels: str) -> Object:
    """A Deployment that selects its pods by these labels."""
    return {
        "kind": "Deployment",
        "metadata": {"name": "checkout", "namespace": "shop"},
        "spec": {"selector": {"matchLabels": labels}},
    }


@pytest.mark.parametrize(
    ("prefixes", "kept"),
    [
        pytest.param(("foo", "lor"), {"foo", "lorem"}, id="by prefix"),
        pytest.param(("*",), {"foo", "bar", "lorem"}, id="all but a GitOps tool's"),
        pytest.param((), set(), id="none by default"),
        pytest.param(("",), set(), id="an empty prefix admits nothing"),
        pytest.param(("FOO",), set(), id="case matters"),
        pytest.param(("kustomize",), set(), id="a GitOps tool's never"),
    ],
)
def test_prefix_filter(prefixes: tuple[str, ...], kept: set[str]) -> None:
    """Only what was asked for is copied, and never what a GitOps tool would take for its own."""
    assert with_prefix(KEYS, prefixes).keys() == kept


def test_strip() -> None:
    """What describes the original alone stays with it."""
    own = {LAST_APPLIED: "{}", "deployment.kubernetes.io/revision": "3"}

    assert stripped(KEYS | own).keys() == {"foo", "bar", "lorem"}


def test_pod_metadata() -> None:
    """Pods of the primary have its label value, and an identity of their own."""
    selector = Selector("app", "checkout")

    assert pod_labels({"app": "checkout", "tier": "web"}, selector) == {
        "app": "checkout-primary",
        "tier": "web",
    }
    assert pod_annotations({"flagger-id": "old", "a": "b"}, "new") == {"flagger-id": "new", "a": "b"}


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        pytest.param({"name": "x", "app": "y"}, Selector("app", "y"), id="order of the candidates"),
        pytest.param(
            {"app.kubernetes.io/name": "z"}, Selector("app.kubernetes.io/name", "z"), id="the last one"
        ),
    ],
)
def test_selector_label(labels: dict[str, str], found: Selector) -> None:
    """The first candidate that the target selects by counts; its value may differ from the target's name."""
    assert find_selector(a_target(**labels), DEFAULT) == found


def test_selector_label_is_missing() -> None:
    """The error names the target and the labels that would do."""
    expected = (
        r"^deployment checkout\.shop spec\.selector\.matchLabels must contain one of "
        r"\[app name app\.kubernetes\.io/name\]$"
    )

    with pytest.raises(TargetError, match=expected):
        find_selector(a_target(component="web"), DEFAULT)
