"""What can be wrong with an act and with a gate, and what the models say of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from flagger.api.analysis import HookType, Webhook
from flagger.api.errors import FieldError
from flagger.api.gates import NativeGate, gate_names, native_gate
from flagger.api.release_action import REASON_LIMIT, ActionSpec, ReleaseAction, action_problems, plain_text
from flagger.api.validate import validate
from tests.api.examples import WEIGHTED, a_canary

PIN = {"run": 43}


def a_spec(**changes: Any) -> ActionSpec:
    """The spec of an act as it is read."""
    spec = {"canary": "checkout", "action": "abort", "pin": PIN, **changes}
    return ReleaseAction.parse({"metadata": {"name": "a"}, "spec": spec}).spec


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({}, None),
        ({"action": "pause", "pin": {}}, None),
        ({"action": "approve", "scope": "remaining-steps", "override": True}, None),
        ({"action": "promote", "scope": "step", "pin": {"run": 4, "weight": 20}}, None),
        ({"pin": {}}, "spec.pin"),
        ({"pin": {"weight": 20, "run": 1}}, "spec.pin.weight"),
        ({"scope": "step"}, "spec.scope"),
        ({"action": "retry", "scope": "all"}, "spec.scope"),
        ({"action": "promote", "gate": "x"}, "spec.gate"),
        ({"override": True}, "spec.override"),
        ({"until": "2030-01-05T18:00:00Z"}, "spec.until"),
    ],
)
def test_fields_that_do_not_go_together(changes: dict[str, Any], field: str | None) -> None:
    """Each is named with what to do about it."""
    problems = list(action_problems(a_spec(**changes)))

    assert [problem.field for problem in problems] == ([field] if field else [])
    assert all(problem.fix for problem in problems)


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"action": "abort"}, "spec.canary"),
        ({"canary": "checkout", "action": "explode"}, "spec.action"),
        ({"canary": "checkout", "action": "abort", "pin": {"run": "43"}}, "spec.pin.run"),
    ],
)
def test_an_act_that_cannot_be_read(spec: dict[str, Any], field: str) -> None:
    """The error names the field."""
    with pytest.raises(FieldError) as caught:
        ReleaseAction.parse({"metadata": {"name": "a"}, "spec": spec})

    assert caught.value.field == field


def test_what_users_write_is_shown_as_plain_text() -> None:
    """No control characters, no line breaks, and no novels."""
    spec = a_spec(reason="wrong\nflag\x1b[31m", requestedBy={"username": "an\x00a"})

    assert (spec.why, spec.who) == ("wrong flag [31m", "an a")
    assert len(plain_text("x" * 900)) == REASON_LIMIT
    assert a_spec().who == "somebody"


def test_how_long_an_act_may_wait() -> None:
    """Approvals are given ahead of time."""
    assert a_spec().lifetime == timedelta(minutes=15)
    assert a_spec(action="approve").lifetime == timedelta(hours=8)


def test_a_gate_of_ours() -> None:
    """Name, quorum and expiry are in its URL; the hook's name and the URL's both call it."""
    url = "gate://promotion?approvals=2&expires=8h"

    assert native_gate(url) == NativeGate("promotion", 2, timedelta(hours=8))
    assert native_gate("gate://promotion") == NativeGate("promotion")
    assert gate_names(Webhook(name="board", url=url)) == {"board", "promotion"}
    assert gate_names(Webhook(name="board", url="http://x/gate")) == {"board"}


@pytest.mark.parametrize(
    ("url", "kind", "problem"),
    [
        ("gate://", HookType.CONFIRM_PROMOTION, "is not of the form"),
        ("gate://a/b", HookType.CONFIRM_PROMOTION, "is not of the form"),
        ("gate://a?approvals=0", HookType.CONFIRM_PROMOTION, "between 1 and 9 approvals, not '0'"),
        ("gate://a?approvals=two", HookType.CONFIRM_PROMOTION, "between 1 and 9 approvals"),
        ("gate://a?expires=8", HookType.CONFIRM_PROMOTION, "is not a duration"),
        ("gate://a?expires=-1h", HookType.CONFIRM_PROMOTION, "not longer than zero"),
        ("gate://a?quorum=2", HookType.CONFIRM_PROMOTION, "unknown parameter 'quorum'"),
        ("gate://a", HookType.ROLLBACK, "rollback hooks are no gates"),
        ("gate://a", HookType.EVENT, "event hooks are no gates"),
    ],
)
def test_a_gate_that_could_never_open(url: str, kind: HookType, problem: str) -> None:
    """It stops the Canary with the field, rather than to wait for ever."""
    hook = {"name": "board", "type": str(kind), "url": url}

    canary = a_canary(WEIGHTED, spec__analysis__webhooks=[hook])
    (found,) = validate(canary, provider="istio", cross_namespace=True)

    assert found.is_error
    assert found.error.field == "spec.analysis.webhooks[0].url"
    assert problem in found.error.problem
