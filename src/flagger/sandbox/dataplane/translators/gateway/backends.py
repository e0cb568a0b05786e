"""Which cluster a backendRef means, and why it may mean none."""

from dataclasses import dataclass

from flagger.kube.objects import SERVICE, Kind, Object, name_of, namespace_of
from flagger.sandbox.dataplane.kinds import GATEWAY_GROUP, REFERENCE_GRANT
from flagger.sandbox.dataplane.routes import MISSING_CLUSTER
from flagger.sandbox.dataplane.snapshot import Snapshot
from flagger.sandbox.dataplane.translators.services import cluster_name, tcp_ports

CORE_GROUPS = frozenset({"", "core"})


@dataclass(frozen=True, slots=True)
class RefProblem:
    """Why a reference leads nowhere, in the words of the ResolvedRefs condition."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Scope:
    """The route whose references are followed."""

    seen: Snapshot
    kind: Kind
    route: Object


def resolve(ref: Object, scope: Scope) -> str | RefProblem:
    """The cluster of the Service port that a backendRef names, or the reason why there is none."""
    namespace = ref.get("namespace") or namespace_of(scope.route)
    name, port = ref["name"], ref.get("port", 0)
    if ref.get("group", "") not in CORE_GROUPS or ref.get("kind", "Service") != "Service":
        return RefProblem("InvalidKind", f"backend {name}: only Services can be backends here")
    if namespace != namespace_of(scope.route) and not is_granted(scope, "Service", namespace, name):
        return RefProblem(
            "RefNotPermitted",
            f"Service {namespace}/{name}: no ReferenceGrant in {namespace} permits this {scope.kind.kind}",
        )
    service = scope.seen.get(SERVICE, namespace, name)
    if service is None:
        return RefProblem("BackendNotFound", f"there is no Service {namespace}/{name}")
    if not any(declared["port"] == port for declared in tcp_ports(service)):
        return RefProblem("BackendNotFound", f"Service {namespace}/{name} has no port {port}")
    return cluster_name(namespace, name, port)


def cluster_or_missing(ref: Object, scope: Scope) -> str:
    """The cluster of a backendRef; requests for one that leads nowhere get 500."""
    found = resolve(ref, scope)
    return MISSING_CLUSTER if isinstance(found, RefProblem) else found


def is_granted(scope: Scope, kind: str, namespace: str, name: str) -> bool:
    """Does a ReferenceGrant let this kind and namespace refer to a core object of another namespace?"""
    return any(_grants(grant, scope, kind, name) for grant in scope.seen.within(REFERENCE_GRANT, namespace))


def _grants(grant: Object, scope: Scope, kind: str, name: str) -> bool:
    asker = (GATEWAY_GROUP, scope.kind.kind, namespace_of(scope.route))
    from_ok = any(
        (entry["group"], entry["kind"], entry["namespace"]) == asker for entry in grant["spec"]["from"]
    )
    return from_ok and any(
        entry["group"] in CORE_GROUPS and entry["kind"] == kind and entry.get("name") in {None, "", name}
        for entry in grant["spec"]["to"]
    )


def described(scope: Scope) -> str:
    """The route for a message: `HTTPRoute shop/checkout`."""
    return f"{scope.kind.kind} {namespace_of(scope.route)}/{name_of(scope.route)}"
