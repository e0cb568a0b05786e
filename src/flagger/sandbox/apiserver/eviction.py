"""Evictions: a graceful delete of a pod, if the disruption budgets that select it allow one."""

from __future__ import annotations

from flagger.sandbox.apiserver.backend import Backend
from flagger.sandbox.apiserver.call import Call, check_options
from flagger.sandbox.apiserver.deletion import Options, check_preconditions, delete_entry
from flagger.sandbox.apiserver.objects import Entry, encode
from flagger.sandbox.apiserver.present import Answer
from flagger.sandbox.apiserver.selectors import LabelSelector, Requirement
from flagger.sandbox.apiserver.status_errors import created, too_many_requests
from flagger.sandbox.apiserver.subresources import body_of
from flagger.sandbox.apiserver.types.causes import Cause
from flagger.sandbox.apiserver.types.resource_type import Object

BUDGETS = "poddisruptionbudgets.policy"
BLOCKED = "Cannot evict pod as it would violate the pod's disruption budget."
OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "absent"}


def evict(backend: Backend, call: Call) -> Answer:
    """Answer POST …/pods/NAME/eviction.

    Raises:
        ApiError: 429 with cause DisruptionBudget.
    """
    check_options(call)
    given = body_of(call, "policy.Eviction").get("deleteOptions") or {}
    conditions = given.get("preconditions") or {}
    options = Options(
        policy=given.get("propagationPolicy"),
        grace=given.get("gracePeriodSeconds"),
        uid=conditions.get("uid") or "",
        revision=conditions.get("resourceVersion") or "",
        dry=call.dry_run or bool(given.get("dryRun")),
    )
    entry = backend.entry(call)
    check_preconditions(call.kind, entry, options)
    if _counts(entry):
        _take_from_budget(backend, entry, options)
    delete_entry(backend, call.kind, entry, options)
    return Answer(201, encode(created()))


def _counts(entry: Entry) -> bool:
    """Pods that do not run anyway are evicted without asking."""
    return entry.fields.get("status.phase") == "Running"


def _take_from_budget(backend: Backend, pod: Entry, options: Options) -> None:
    for entry in backend.store.entries(BUDGETS, pod.key[0]):
        budget = entry.load()
        if not selects(budget["spec"].get("selector"), pod):
            continue
        status = budget.get("status") or {}
        allowed = status.get("disruptionsAllowed", 0)
        if allowed < 1:
            raise too_many_requests(BLOCKED, causes=[_cause(entry.key[1], status)])
        if not options.dry:
            backend.store.put(BUDGETS, {**budget, "status": {**status, "disruptionsAllowed": allowed - 1}})


def _cause(name: str, status: Object) -> Cause:
    needs, has = status.get("desiredHealthy", 0), status.get("currentHealthy", 0)
    return Cause(
        "DisruptionBudget",
        f"The disruption budget {name} needs {needs} healthy pods and has {has} currently",
        "",
    )


def selects(selector: Object | None, pod: Entry) -> bool:
    """Tell whether a LabelSelector selects a pod; the empty one selects everything, a missing one nothing."""
    if selector is None:
        return False
    labels = [
        Requirement(key, "in", frozenset({value}))
        for key, value in (selector.get("matchLabels") or {}).items()
    ]
    expressions = [
        Requirement(item["key"], OPERATORS[item["operator"]], frozenset(item.get("values") or ()))
        for item in selector.get("matchExpressions") or ()
    ]
    return LabelSelector((*labels, *expressions)).matches(pod.labels)
