"""The shipped roles, on a server that enforces them: who may do what, and that the operator's are enough."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from flagger.kube.objects import Kind, Object
from flagger.runtime.identity import ACCESS_REVIEW, ADMISSION_BINDING, ADMISSION_POLICY
from flagger.runtime.kinds import RELEASE, RELEASE_ACTION
from tests.fakes.cluster import SHOP, Lab
from tests.runtime.test_acts import CLUSTER_ROLE, CLUSTER_ROLE_BINDING

RBAC = Path(__file__).parents[2] / "deploy" / "rbac"
ROLES = [role for path in sorted(RBAC.glob("*.yaml")) for role in yaml.safe_load_all(path.read_text())]
VERBS = ("pause", "abort", "approve", "resume", "retry", "promote", "override")
RIGHTS = {
    "flagger-release-viewer": set(),
    "flagger-release-responder": {"pause", "abort"},
    "flagger-release-approver": {"pause", "abort", "approve", "resume", "retry"},
    "flagger-release-admin": set(VERBS),
    "flagger-operator-release": set(),
}


@pytest.fixture
async def bound(lab: Lab) -> Lab:
    """A server with our roles, each bound to a user of its name."""
    for role in ROLES:
        name = role["metadata"]["name"]
        await lab.client.create(CLUSTER_ROLE, role)
        subject = {"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"}
        ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
        binding: Object = {"metadata": {"name": name}, "subjects": [subject], "roleRef": ref}
        await lab.client.create(CLUSTER_ROLE_BINDING, binding)
    return lab


async def may(lab: Lab, user: str, verb: str, kind: Kind | None = None, subresource: str = "") -> bool:
    """Ask the server whether a user may do something."""
    group, resource = (kind.group, kind.plural) if kind else ("flagger.app", "canaries")
    what = {"verb": verb, "group": group, "resource": resource, "subresource": subresource}
    what |= {
        "namespace": SHOP,
        "name": "flagger-release-actions" if kind and not kind.namespaced else "checkout",
    }
    answer = await lab.client.create(ACCESS_REVIEW, {"spec": {"user": user, "resourceAttributes": what}})
    return bool(answer["status"]["allowed"])


async def test_who_may_do_what(bound: Lab) -> None:
    """Safe acts need little, those that ship code more, and nobody gets a right by accident."""
    found = {user: {verb for verb in VERBS if await may(bound, user, verb)} for user in RIGHTS}

    assert found == RIGHTS


async def test_who_may_act_may_create_acts(bound: Lab) -> None:
    """And nobody but the operator writes what became of them."""
    for user, verbs in RIGHTS.items():
        assert await may(bound, user, "create", RELEASE_ACTION) is bool(verbs)
        assert await may(bound, user, "patch", RELEASE_ACTION, "status") is (
            user == "flagger-operator-release"
        )
        assert not await may(bound, user, "update", RELEASE_ACTION)


async def test_what_the_operator_needs(bound: Lab) -> None:
    """Every request that it makes for acts and records is covered."""
    needed = [
        *((verb, RELEASE_ACTION, "") for verb in ("list", "watch", "delete")),
        ("patch", RELEASE_ACTION, "status"),
        *((verb, RELEASE, "") for verb in ("list", "watch", "create")),
        ("patch", RELEASE, "status"),
        ("create", ACCESS_REVIEW, ""),
        ("get", ADMISSION_POLICY, ""),
        ("get", ADMISSION_BINDING, ""),
    ]
    for verb, kind, subresource in needed:
        assert await may(bound, "flagger-operator-release", verb, kind, subresource), f"{verb} {kind.plural}"
