"""What GatewayClasses, Gateways and routes are told, in the Gateway API's words."""

import json
from collections.abc import Iterator, Sequence

from flagger.kube.objects import Object, annotations_of
from flagger.sandbox.dataplane.kinds import (
    CONTROLLER,
    GATEWAY,
    GATEWAY_CLASS,
    GATEWAY_GROUP,
    GRPC_ROUTE,
    HTTP_ROUTE,
    PORTS_ANNOTATION,
)
from flagger.sandbox.dataplane.snapshot import Site, Snapshot
from flagger.sandbox.dataplane.translators.base import Report
from flagger.sandbox.dataplane.translators.gateway.attachment import Binding, Gate
from flagger.sandbox.dataplane.translators.gateway.backends import RefProblem
from flagger.sandbox.dataplane.translators.gateway.compiled import CompiledRoute
from flagger.sandbox.dataplane.translators.gateway.hosts import attached_to, gateway_listener_name
from flagger.sandbox.dataplane.translators.gateway.sections import Section

SUPPORTED_KINDS = [{"group": GATEWAY_GROUP, "kind": kind.kind} for kind in (HTTP_ROUTE, GRPC_ROUTE)]


def condition(obj: Object, name: str, problem: RefProblem | None, good: str = "") -> Object:
    """A condition that is true unless there is a problem; its time is the writer's business."""
    return {
        "type": name,
        "status": "False" if problem else "True",
        "reason": problem.reason if problem else good or name,
        "message": problem.message if problem else "",
        "observedGeneration": obj["metadata"].get("generation", 1),
    }


def class_reports(seen: Snapshot) -> Iterator[Report]:
    """GatewayClasses that name us are accepted. Others are served too, yet their status is not ours."""
    for obj in seen.all(GATEWAY_CLASS):
        if obj["spec"].get("controllerName") == CONTROLLER:
            yield Report(GATEWAY_CLASS, obj, {"conditions": [condition(obj, "Accepted", None)]})


def gateway_report(gate: Gate, routes: Sequence[CompiledRoute], site: Site) -> Report:
    """Address, conditions and listeners of a Gateway, and where low ports went."""
    obj, address = gate.gateway, site.gateway_addresses.get(gate.key)
    listeners = [_section_status(gate, section, routes, site) for section in gate.sections]
    idle = not any(section.serves for section in gate.sections)
    troubled = RefProblem("ListenersNotValid", "no listener can be served") if idle else None
    status = {
        "addresses": [{"type": "IPAddress", "value": address}] if address else [],
        "conditions": [
            condition(obj, "Accepted", troubled),
            condition(obj, "Programmed", _unprogrammed(gate, gate.sections, site)),
        ],
        "listeners": listeners,
    }
    moved = {str(s.port): site.bound_port(s.port) for s in gate.sections if site.bound_port(s.port) != s.port}
    note = {PORTS_ANNOTATION: json.dumps(moved)} if moved or PORTS_ANNOTATION in annotations_of(obj) else {}
    return Report(GATEWAY, obj, status, note)


def _section_status(gate: Gate, section: Section, routes: Sequence[CompiledRoute], site: Site) -> Object:
    attached = {id(entry.route) for entry in attached_to(gate, section, routes)}
    obj = gate.gateway
    conflict = condition(obj, "Conflicted", None)
    if section.conflict is None:
        conflict |= {"status": "False", "reason": "NoConflicts"}
    else:
        conflict |= {"reason": section.conflict.reason, "message": section.conflict.message}
    return {
        "name": section.name,
        "supportedKinds": SUPPORTED_KINDS,
        "attachedRoutes": len(attached),
        "conditions": [
            condition(obj, "Accepted", section.refused or section.conflict),
            condition(obj, "Programmed", _unprogrammed(gate, [section], site)),
            condition(obj, "ResolvedRefs", section.unresolved),
            conflict,
        ],
    }


def _unprogrammed(gate: Gate, sections: Sequence[Section], site: Site) -> RefProblem | None:
    """Why requests do not arrive, if they do not."""
    if gate.key not in site.gateway_addresses:
        return RefProblem("AddressNotAssigned", f"no address is free in {site.cidr}")
    serving = [section for section in sections if section.serves]
    for section in serving:
        if problem := site.broken.get(gateway_listener_name(gate, section.port)):
            return RefProblem("Invalid", problem)
    return None if serving else RefProblem("Invalid", "nothing is served; see the other conditions")


def route_report(route: CompiledRoute) -> Report | None:
    """What became of each parent of a route; what other controllers said stays. None if nobody asked us."""
    obj = route.scope.route
    said = obj.get("status", {}).get("parents") or []
    foreign = [entry for entry in said if entry.get("controllerName") != CONTROLLER]
    ours = [_parent_status(obj, binding, route.unresolved) for binding in route.bindings]
    if not ours and len(foreign) == len(said):
        return None
    return Report(route.scope.kind, obj, {"parents": foreign + ours})


def _parent_status(obj: Object, binding: Binding, unresolved: RefProblem | None) -> Object:
    return {
        "parentRef": binding.parent_ref,
        "controllerName": CONTROLLER,
        "conditions": [
            condition(obj, "Accepted", binding.refused),
            condition(obj, "ResolvedRefs", unresolved),
        ],
    }
