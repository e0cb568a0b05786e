"""The hash that names a revision."""

from __future__ import annotations

import re
from typing import Any

import pytest

from flagger.workloads.revision import hash_of

TEMPLATE: dict[str, Any] = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"name": "a"}, {"name": "b"}]},
}


def test_is_stable() -> None:
    """The value is fixed for ever: another one would start a run of every Canary after an upgrade."""
    assert hash_of(TEMPLATE) == "v1-7815949c03"


def test_is_no_hash_of_upstream() -> None:
    """Upstream's hashes can be told from ours."""
    assert not re.fullmatch("[4-9bcdf]{1,10}", hash_of(TEMPLATE))


@pytest.mark.parametrize(
    "same",
    [
        pytest.param({"spec": TEMPLATE["spec"], "metadata": TEMPLATE["metadata"]}, id="order of members"),
        pytest.param({**TEMPLATE, "status": None}, id="a null member"),
        pytest.param(
            {**TEMPLATE, "metadata": {"labels": {"app": "web"}, "creationTimestamp": None}},
            id="a null within",
        ),
    ],
)
def test_ignores_what_means_nothing(same: dict[str, Any]) -> None:
    """Absent and null are the same, and members of objects have no order."""
    assert hash_of(same) == hash_of(TEMPLATE)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({**TEMPLATE, "metadata": {"labels": {"app": "web", "a": "b"}}}, id="a label"),
        pytest.param(
            {**TEMPLATE, "spec": {"containers": [{"name": "b"}, {"name": "a"}]}}, id="order of a list"
        ),
        pytest.param({**TEMPLATE, "spec": {"containers": []}}, id="an empty list"),
        pytest.param({**TEMPLATE, "metadata": {"labels": {"app": "wéb"}}}, id="a letter"),
    ],
)
def test_sees_what_is_another_revision(other: dict[str, Any]) -> None:
    """Everything else is another revision."""
    assert hash_of(other) != hash_of(TEMPLATE)
