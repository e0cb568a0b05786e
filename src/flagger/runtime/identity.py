"""Who really asked, and whether they may: the admission policy that vouches for names, and the rights at the moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flagger.api.admission import BINDING, POLICY
from flagger.api.names import GROUP
from flagger.api.release_action import Action, ActionSpec, Identity
from flagger.kube.client import Client
from flagger.kube.errors import KubeError
from flagger.kube.objects import Kind, Object, name_of
from flagger.rollout.facts import Permission, Permit
from flagger.runtime.snapshot import View
from flagger.runtime.world import World

_ADMISSION = "admissionregistration.k8s.io"
ADMISSION_POLICY = Kind(
    _ADMISSION, "v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies", namespaced=False
)
ADMISSION_BINDING = Kind(
    _ADMISSION,
    "v1",
    "ValidatingAdmissionPolicyBinding",
    "validatingadmissionpolicybindings",
    namespaced=False,
)
ACCESS_REVIEW = Kind(
    "authorization.k8s.io", "v1", "SubjectAccessReview", "subjectaccessreviews", namespaced=False
)

_SAFE = frozenset({Action.PAUSE, Action.ABORT})
"""What nobody is harmed by, whoever asks for it."""
ALLOWED_UNVERIFIED: Mapping[str, frozenset[Action]] = {
    "safe": _SAFE,
    "all": frozenset(Action),
    "none": frozenset(),
}
"""Acts that are applied although nobody vouches for who asks, by the setting `unverified-actions`."""


@dataclass(frozen=True, slots=True)
class Vouching:
    """Whether the API server checks who writes an act; `since` is when it began to, as the API writes times."""

    since: str = ""

    def identity(self, created: str) -> Identity:
        """What an act of this time is worth."""
        vouched = bool(self.since) and created > self.since
        return Identity.VERIFIED if vouched else Identity.UNVERIFIED


async def vouching(client: Client) -> Vouching:
    """Look whether our admission policy is in force, unchanged.

    Asked anew whenever there are acts to decide: what was removed a second ago vouches for nobody.
    """
    try:
        policy = await client.get(ADMISSION_POLICY, name_of(POLICY))
        binding = await client.get(ADMISSION_BINDING, name_of(BINDING))
    except KubeError:  # not served, not installed, or not ours to see: nobody vouches
        return Vouching()
    if not (_is_as_shipped(policy, POLICY) and _is_as_shipped(binding, BINDING)):
        return Vouching()
    return Vouching(max(policy["metadata"]["creationTimestamp"], binding["metadata"]["creationTimestamp"]))


def _is_as_shipped(live: Object, shipped: Object) -> bool:
    """Whether an object says what ours says and no exception; the server may have filled in defaults."""
    return _covers(live.get("spec") or {}, shipped["spec"])


def _covers(live: Any, shipped: Any) -> bool:
    if isinstance(shipped, dict):
        if not isinstance(live, dict):
            return False
        more = {key: value for key, value in live.items() if key not in shipped and value}
        same = all(_covers(live.get(key), value) for key, value in shipped.items())
        return same and all(_FILLED_IN.get(key) == value for key, value in more.items())
    if isinstance(shipped, list):
        pairs = zip(live, shipped, strict=False) if isinstance(live, list) else ()
        return isinstance(live, list) and len(live) == len(shipped) and all(_covers(*pair) for pair in pairs)
    return bool(live == shipped)


_FILLED_IN = {"matchPolicy": "Equivalent", "scope": "*"}
"""What the API server adds to a policy."""


def objection(spec: ActionSpec, identity: Identity, setting: str) -> tuple[str, str] | None:
    """Why an act of this identity is not even considered under the setting; None when it is."""
    if identity is Identity.VERIFIED or spec.action in ALLOWED_UNVERIFIED[setting]:
        return None
    text = f"nobody vouches that {spec.who} asks for it: install deploy/admission, or run with -unverified-actions"
    return "Unverified", text


async def permission(world: World, view: View, asked: Permit) -> Permission:
    """Ask the API server whether who wants an act may do it; the rights of the moment count."""
    act = next(act for act in view.seen.acts if act.uid == asked.uid)
    requester, canary = act.spec.requested_by, view.canary
    for verb in asked.verbs:
        what = {
            "verb": verb,
            "group": GROUP,
            "resource": "canaries",
            "namespace": canary.namespace,
            "name": canary.name,
        }
        spec = {"user": requester.username, "groups": list(requester.groups), "resourceAttributes": what}
        try:
            answer = await world.cluster.client.create(ACCESS_REVIEW, {"spec": spec})
        except KubeError as error:
            return Permission(allowed=False, trouble=str(error))
        if (answer.get("status") or {}).get("allowed") is True:
            return Permission(allowed=True)
    return Permission(allowed=False)
