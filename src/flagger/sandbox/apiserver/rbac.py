"""Authorization: roles and bindings as they are stored, evaluated on each request.

Rules follow "Using RBAC Authorization" of the Kubernetes reference. Parsed rules are cached until one of the
four kinds changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flagger.sandbox.apiserver.call import User
from flagger.sandbox.apiserver.store import Change, Store
from flagger.sandbox.apiserver.types.resource_type import Object

GROUP = "rbac.authorization.k8s.io"
ROLES, CLUSTER_ROLES = f"roles.{GROUP}", f"clusterroles.{GROUP}"
BINDINGS, CLUSTER_BINDINGS = f"rolebindings.{GROUP}", f"clusterrolebindings.{GROUP}"
MASTERS = "system:masters"
PUBLIC_PATHS = (
    "/healthz",
    "/livez",
    "/readyz",
    "/version",
    "/version/",
    "/healthz/*",
    "/livez/*",
    "/readyz/*",
)
DISCOVERY_PATHS = ("/", "/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*")
SELF_REVIEWS: Mapping[str, frozenset[str]] = {
    "authorization.k8s.io": frozenset({"selfsubjectaccessreviews", "selfsubjectrulesreviews"}),
    "authentication.k8s.io": frozenset({"selfsubjectreviews"}),
}


@dataclass(frozen=True, slots=True)
class Action:
    """What somebody wants to do: to a resource, or (with `path`) to a non-resource URL."""

    verb: str
    group: str = ""
    resource: str = ""
    """`pods`, or `pods/log`."""
    namespace: str = ""
    name: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an action is allowed, and by which rule."""

    allowed: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a role."""

    verbs: frozenset[str]
    groups: frozenset[str] = frozenset()
    resources: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    paths: tuple[str, ...] = ()

    def covers(self, action: Action) -> bool:
        """Tell whether the rule allows an action."""
        if not _in(action.verb, self.verbs):
            return False
        if action.path:
            return any(_path_matches(action.path, pattern) for pattern in self.paths)
        resource = _in(action.resource, self.resources) or _any_parent(action.resource) in self.resources
        named = not self.names or action.name in self.names
        return named and resource and _in(action.group, self.groups)

    def resource_rule(self) -> Object:
        """Return the form of SelfSubjectRulesReview."""
        rule: Object = {"verbs": sorted(self.verbs), "apiGroups": sorted(self.groups)}
        rule["resources"] = sorted(self.resources)
        return rule | ({"resourceNames": sorted(self.names)} if self.names else {})


def _in(value: str, allowed: frozenset[str]) -> bool:
    return "*" in allowed or value in allowed


def _any_parent(resource: str) -> str:
    """`deployments/scale` is also covered by `*/scale`."""
    _, slash, subresource = resource.partition("/")
    return f"*/{subresource}" if slash else resource


def _path_matches(path: str, pattern: str) -> bool:
    return path == pattern or (pattern.endswith("*") and path.startswith(pattern[:-1]))


@dataclass(frozen=True, slots=True)
class Grant:
    """A binding, resolved: these subjects have these rules, in one namespace or ("") everywhere."""

    reason: str
    namespace: str
    subjects: tuple[Mapping[str, Any], ...]
    rules: tuple[Rule, ...]

    def subject_of(self, user: User) -> Mapping[str, Any] | None:
        """Return the subject that the user is, if any."""
        return next((subject for subject in self.subjects if _is_subject(user, subject)), None)


def _is_subject(user: User, subject: Mapping[str, Any]) -> bool:
    if subject.get("kind") == "ServiceAccount":
        return user.name == f"system:serviceaccount:{subject.get('namespace', '')}:{subject.get('name')}"
    if subject.get("kind") == "Group":
        return subject.get("name") in user.groups
    return subject.get("name") == user.name


BASE_GRANTS = (
    Grant(
        "discovery",
        "",
        ({"kind": "Group", "name": "system:unauthenticated"},),
        (Rule(frozenset({"get"}), paths=PUBLIC_PATHS),),
    ),
    Grant(
        "discovery",
        "",
        ({"kind": "Group", "name": "system:authenticated"},),
        (
            Rule(frozenset({"get"}), paths=(*PUBLIC_PATHS, *DISCOVERY_PATHS)),
            *(
                Rule(frozenset({"create"}), frozenset({group}), names)
                for group, names in SELF_REVIEWS.items()
            ),
        ),
    ),
)
"""What everybody may do, whatever is bound."""


class Authorizer:
    """Decides about actions from the stored roles and bindings."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._grants: tuple[Grant, ...] | None = None
        store.listeners.append(self._changed)

    def _changed(self, change: Change) -> None:
        if change.storage in {ROLES, CLUSTER_ROLES, BINDINGS, CLUSTER_BINDINGS}:
            self._grants = None

    def decide(self, user: User, action: Action) -> Verdict:
        """Tell whether a user may do something."""
        if MASTERS in user.groups:
            return Verdict(True)
        for grant, subject in self._grants_of(user, action.namespace):
            if any(rule.covers(action) for rule in grant.rules):
                who = f'{subject.get("kind", "User")} "{subject.get("name")}"'
                return Verdict(True, f"RBAC: allowed by {grant.reason} to {who}")
        return Verdict(False)

    def rules_of(self, user: User, namespace: str) -> list[Rule]:
        """Return all rules a user has in a namespace."""
        if MASTERS in user.groups:
            everything = frozenset({"*"})
            return [Rule(everything, everything, everything), Rule(everything, paths=("*",))]
        return [rule for grant, _ in self._grants_of(user, namespace) for rule in grant.rules]

    def _grants_of(self, user: User, namespace: str) -> Iterator[tuple[Grant, Mapping[str, Any]]]:
        if self._grants is None:
            self._grants = (*BASE_GRANTS, *self._load())
        for grant in self._grants:
            subject = grant.subject_of(user) if grant.namespace in {"", namespace} else None
            if subject is not None:
                yield grant, subject

    def _load(self) -> Iterator[Grant]:
        for storage in (CLUSTER_BINDINGS, BINDINGS):
            for entry in self._store.entries(storage):
                yield self._grant(entry.load())

    def _grant(self, binding: Object) -> Grant:
        metadata, role = binding["metadata"], binding.get("roleRef") or {}
        namespace = metadata.get("namespace", "")
        name = f"{metadata['name']}/{namespace}" if namespace else metadata["name"]
        reason = f'{binding["kind"]} "{name}" of {role.get("kind")} "{role.get("name")}"'
        rules = tuple(self._rules(role, namespace))
        return Grant(reason, namespace, tuple(binding.get("subjects") or ()), rules)

    def _rules(self, role: Mapping[str, Any], namespace: str) -> Iterable[Rule]:
        storage, where = (CLUSTER_ROLES, "") if role.get("kind") == "ClusterRole" else (ROLES, namespace)
        entry = self._store.get(storage, (where, role.get("name", "")))
        return [_rule(rule) for rule in (entry.load().get("rules") or () if entry else ())]


def _rule(rule: Mapping[str, Any]) -> Rule:
    return Rule(
        verbs=frozenset(rule.get("verbs") or ()),
        groups=frozenset(rule.get("apiGroups") or ()),
        resources=frozenset(rule.get("resources") or ()),
        names=frozenset(rule.get("resourceNames") or ()),
        paths=tuple(rule.get("nonResourceURLs") or ()),
    )
