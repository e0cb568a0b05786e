"""Routes read once: their rules, where they attach, and what is wrong with them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from flagger.api.errors import FieldError
from flagger.kube.objects import Object, key_of
from flagger.sandbox.dataplane.kinds import GRPC_ROUTE, HTTP_ROUTE
from flagger.sandbox.dataplane.snapshot import Snapshot
from flagger.sandbox.dataplane.translators.gateway.attachment import Binding, Gate, bindings_of
from flagger.sandbox.dataplane.translators.gateway.backends import RefProblem, Scope, resolve
from flagger.sandbox.dataplane.translators.gateway.grpc import as_http
from flagger.sandbox.dataplane.translators.gateway.rules import RankedRule, ranked_rules


@dataclass(frozen=True, slots=True)
class CompiledRoute:
    """A route; one that is refused has no rules and attaches nowhere."""

    scope: Scope
    bindings: tuple[Binding, ...]
    rules: tuple[RankedRule, ...] = ()
    unresolved: RefProblem | None = None  # the first backend that is not there


def compiled_routes(seen: Snapshot, gates: Mapping[str, Gate]) -> tuple[CompiledRoute, ...]:
    """All routes, the oldest first: that is the order in which equal matches win."""
    scopes = [Scope(seen, kind, route) for kind in (HTTP_ROUTE, GRPC_ROUTE) for route in seen.all(kind)]
    scopes.sort(key=lambda scope: (scope.route["metadata"].get("creationTimestamp", ""), key_of(scope.route)))
    return tuple(_compiled(scope, gates) for scope in scopes)


def _compiled(scope: Scope, gates: Mapping[str, Gate]) -> CompiledRoute:
    bindings = tuple(bindings_of(scope, gates))
    readable = replace(scope, route=as_http(scope.route)) if scope.kind is GRPC_ROUTE else scope
    try:
        return CompiledRoute(scope, bindings, ranked_rules(readable), _unresolved(scope))
    except FieldError as error:
        refusal = RefProblem("UnsupportedValue", str(error))
    except KeyError as error:  # a server whose CRD does not say what belongs together lets it through
        refusal = RefProblem("UnsupportedValue", f"a rule cannot be read: there is no {error}")
    refused = tuple(Binding(binding.parent_ref, binding.refused or refusal) for binding in bindings)
    return CompiledRoute(scope, refused)


def _unresolved(scope: Scope) -> RefProblem | None:
    found = (resolve(ref, scope) for ref in _references(scope.route))
    return next((problem for problem in found if isinstance(problem, RefProblem)), None)


def _references(route: Object) -> Sequence[Object]:
    rules = route["spec"].get("rules") or []
    refs = [ref for rule in rules for ref in rule.get("backendRefs") or []]
    owners = [*rules, *refs]
    filters = [entry for owner in owners for entry in owner.get("filters") or []]
    return refs + [entry["requestMirror"]["backendRef"] for entry in filters if entry.get("requestMirror")]
