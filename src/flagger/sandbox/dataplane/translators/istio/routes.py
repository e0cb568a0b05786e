"""The rules of VirtualServices: all routes in their order, those of delegates in the place of their root's."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from flagger.api.errors import FieldError
from flagger.kube.objects import Object, namespace_of
from flagger.sandbox.dataplane.kinds import VIRTUAL_SERVICE
from flagger.sandbox.dataplane.routes import Rule, Target
from flagger.sandbox.dataplane.translators.istio.actions import (
    action,
    cors_of,
    fault_of,
    header_edits,
    targets,
)
from flagger.sandbox.dataplane.translators.istio.matches import conditions
from flagger.sandbox.dataplane.translators.istio.scope import Scope, gateways_of

Tell = Callable[[str], None]
"""Takes what is wrong with a VirtualService."""


def http_rules(service: Object, scope: Scope, tell: Tell) -> tuple[Rule, ...]:
    """The rules of a VirtualService at a listener; a route with a fault in it is left out."""
    found: list[Rule] = []
    for index, route in enumerate(service["spec"].get("http") or ()):
        try:
            found.extend(_rules(route, scope))
        except (FieldError, ValueError) as error:
            tell(f"spec.http[{index}] is left out: {error}")
    return tuple(found)


def tcp_targets(service: Object, scope: Scope) -> tuple[Target, ...]:
    """How connections to a listener are divided: by the first route that can be meant."""
    for route in service["spec"].get("tcp") or ():
        if any(_is_meant(wanted, scope) for wanted in route.get("match") or [{}]):
            return targets(route, scope)
    return ()


def _is_meant(wanted: Object, scope: Scope) -> bool:
    gateways = gateways_of(wanted, scope.namespace)
    here = not gateways or scope.gateway in gateways
    return here and wanted.get("port", scope.port) == scope.port and not wanted.get("sourceLabels")


def _rules(route: Object, scope: Scope) -> Iterator[Rule]:
    if "delegate" in route:
        yield from _delegated(route, scope)
        return
    request, response = header_edits(route)
    for wanted, match in conditions(route, scope):
        rule = Rule(match, action(route, wanted, scope), request, response)
        yield replace(rule, cors=cors_of(route), fault=fault_of(route))


def _delegated(root: Object, scope: Scope) -> Iterator[Rule]:
    """The routes of a delegate under the conditions of its root, whose other fields count where it has none.

    Raises:
        FieldError: there is no such delegate, or it has hosts of its own.
    """
    wanted = root["delegate"]
    namespace, name = wanted.get("namespace") or scope.namespace, wanted.get("name", "")
    delegate = scope.seen.get(VIRTUAL_SERVICE, namespace, name)
    if delegate is None or delegate["spec"].get("hosts"):
        problem = "is missing" if delegate is None else "has hosts of its own"
        raise FieldError("delegate", f"VirtualService {namespace}/{name} {problem}", "name one without hosts")
    inherited = {field: value for field, value in root.items() if field not in ("match", "delegate", "name")}
    within = replace(scope, namespace=namespace_of(delegate))
    for route in delegate["spec"].get("http") or ():
        merged = {**inherited, **route, "match": list(_both(root, route))}
        if merged["match"] and "delegate" not in route:
            yield from _rules(merged, within)


def _both(root: Object, route: Object) -> Iterator[Object]:
    """Every pair of conditions; of two on the same thing the delegate's counts, which has to be the narrower."""
    for outer in root.get("match") or [{}]:
        for inner in route.get("match") or [{}]:
            if _is_narrower(inner.get("uri"), outer.get("uri")):
                maps = {
                    field: {**(outer.get(field) or {}), **(inner.get(field) or {})}
                    for field in ("headers", "withoutHeaders", "queryParams")
                }
                yield {**outer, **inner, **{field: value for field, value in maps.items() if value}}


def _is_narrower(inner: Object | None, outer: Object | None) -> bool:
    """Whether a delegate's path is one of those that its root passes on; regular expressions are believed."""
    if not inner or not outer or "regex" in inner or "regex" in outer:
        return True
    text = inner.get("exact") or inner.get("prefix") or ""
    return text.startswith(outer["prefix"]) if "prefix" in outer else inner == outer
