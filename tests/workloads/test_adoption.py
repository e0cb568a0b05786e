"""When a primary that another operator made counts as a copy of the target."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from flagger.kube.objects import SERVICE, Object
from flagger.workloads.adoption import is_copy
from flagger.workloads.base import Options
from flagger.workloads.daemonset import DaemonSetWorkload
from flagger.workloads.primary import PREVIOUS_REVISION, REVISION
from flagger.workloads.service import ServiceWorkload
from tests.fakes.cluster import Lab
from tests.workloads.examples import basket, golden
from tests.workloads.test_primary import drafted
from tests.workloads.test_service import bootstrapped

NOW = datetime(2030, 1, 5, tzinfo=UTC)


def template(obj: Object) -> Any:
    return obj["spec"]["template"]


def web(obj: Object) -> Any:
    return template(obj)["spec"]["containers"][0]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda _: None, id="as it was made"),
        pytest.param(
            lambda it: template(it)["metadata"]["annotations"].update(restarted="now"), id="restarted"
        ),
        pytest.param(lambda it: it["metadata"].update(labels={}, annotations={}), id="metadata of its own"),
        pytest.param(lambda it: it["spec"].update(replicas=7, paused=True), id="size"),
        pytest.param(
            lambda it: it["spec"]["template"]["metadata"].update(creationTimestamp=None), id="written by Go"
        ),
    ],
)
def test_a_copy(change: Callable[[Object], None]) -> None:
    """What differs is generated, or is not about the pods of a revision."""
    primary = golden("primary.yaml")
    change(primary)

    assert is_copy(drafted(golden("target.yaml")), primary)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda it: web(it).update(image="registry.example/other:1"), id="image"),
        pytest.param(lambda it: template(it)["metadata"]["labels"].pop("layer"), id="a label less"),
        pytest.param(lambda it: template(it)["metadata"]["annotations"].clear(), id="an annotation less"),
        pytest.param(
            lambda it: web(it).setdefault("env", []).append({"name": "X", "value": "1"}), id="a variable"
        ),
        pytest.param(lambda it: template(it)["spec"].update(hostNetwork=True), id="a field of the pods"),
    ],
)
def test_no_copy(change: Callable[[Object], None]) -> None:
    """Pods of another revision."""
    primary = golden("primary.yaml")
    change(primary)

    assert not is_copy(drafted(golden("target.yaml")), primary)


@pytest.mark.parametrize("copied", [True, False])
def test_copies_of_configs_may_be_there_or_not(copied: bool) -> None:
    """Which configs are copied is the operator's business, and its settings may have been others."""
    target, primary = golden("target.yaml"), golden("primary.yaml")
    for obj, name in ((target, "settings"), (primary, "settings-primary" if copied else "settings")):
        web(obj)["envFrom"] = [{"configMapRef": {"name": name}}]

    assert is_copy(drafted(target), primary)


def test_another_config_is_another_revision() -> None:
    """It is the name that counts."""
    target, primary = golden("target.yaml"), golden("primary.yaml")
    for obj, name in ((target, "settings"), (primary, "options-primary")):
        web(obj)["envFrom"] = [{"configMapRef": {"name": name}}]

    assert not is_copy(drafted(target), primary)


def test_nobody_is_changed_by_the_comparison() -> None:
    """Objects of the caches are everybody's."""
    target, primary = golden("target.yaml"), golden("primary.yaml")

    is_copy(drafted(target), primary)

    assert (target, primary) == (golden("target.yaml"), golden("primary.yaml"))


async def test_a_parked_daemon_set(lab: Lab) -> None:
    """The mark of parking on the target is no difference."""
    workload = DaemonSetWorkload(lab.cluster, Options(), lambda: "id-1")
    target = golden("target.yaml") | {"kind": "DaemonSet"}
    target["spec"] = {key: target["spec"][key] for key in ("selector", "template")}
    parked = copy.deepcopy(target)
    template(parked)["spec"]["nodeSelector"] = {"flagger.app/scale-to-zero": "true"}
    made = golden("primary.yaml") | {"kind": "DaemonSet"}
    made["spec"] = {key: made["spec"][key] for key in ("selector", "template")}
    await lab.add(parked, made)

    seen = await workload.sight(basket(), NOW)

    assert seen.primary is not None
    assert seen.primary.revision == seen.target.revision


@pytest.mark.parametrize(("release", "known"), [("v41", True), ("v42", False)])
async def test_a_service(lab: Lab, release: str, known: bool) -> None:
    """A copy without our note counts as the target's revision if it leads where the target does."""
    _, canary = await bootstrapped(lab)
    bare = {"metadata": {"annotations": {REVISION: None, PREVIOUS_REVISION: None}}}
    await lab.change(SERVICE, bare, "checkout-primary")
    await lab.change(SERVICE, {"spec": {"selector": {"release": release}}})

    seen = await ServiceWorkload(lab.cluster).sight(canary, NOW)

    assert seen.primary is not None
    assert (seen.primary.revision == seen.target.revision) is known
