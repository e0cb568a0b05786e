"""The Gateway API: Gateways of any class, HTTPRoutes and GRPCRoutes for them and for Services (mesh routes).

Gateways are served whatever their class is, so that manifests written for another controller run as they are.
"""

from collections.abc import Sequence

from flagger.kube.objects import NAMESPACE, SECRET, SERVICE, key_of
from flagger.sandbox.dataplane.kinds import GATEWAY, GATEWAY_CLASS, GRPC_ROUTE, HTTP_ROUTE, REFERENCE_GRANT
from flagger.sandbox.dataplane.routes import Rule
from flagger.sandbox.dataplane.snapshot import Snapshot
from flagger.sandbox.dataplane.translators.base import Contribution
from flagger.sandbox.dataplane.translators.gateway.attachment import Gate
from flagger.sandbox.dataplane.translators.gateway.compiled import CompiledRoute, compiled_routes
from flagger.sandbox.dataplane.translators.gateway.hosts import gateway_listeners, in_order
from flagger.sandbox.dataplane.translators.gateway.reports import class_reports, gateway_report, route_report
from flagger.sandbox.dataplane.translators.gateway.rules import RankedRule
from flagger.sandbox.dataplane.translators.gateway.sections import sections_of


class GatewayApi:
    """Reads what a Gateway API controller reads, and reports what one reports."""

    needs = (GATEWAY, HTTP_ROUTE, SERVICE, NAMESPACE)
    uses = (GATEWAY_CLASS, GRPC_ROUTE, REFERENCE_GRANT, SECRET)

    def translate(self, seen: Snapshot) -> Contribution:
        """The listeners of Gateways, the rules of Services that are parents of routes, and all statuses."""
        gates = {key_of(obj): Gate(obj, sections_of(obj, seen)) for obj in seen.all(GATEWAY)}
        routes = compiled_routes(seen, gates)
        listeners = [each for gate in gates.values() for each in gateway_listeners(gate, routes, seen.site)]
        told = [route_report(route) for route in routes]
        reports = [
            *class_reports(seen),
            *(gateway_report(gate, routes, seen.site) for gate in gates.values()),
            *(report for report in told if report is not None),
        ]
        return Contribution(tuple(listeners), mesh=_mesh(routes), reports=tuple(reports))


def _mesh(routes: Sequence[CompiledRoute]) -> dict[str, tuple[Rule, ...]]:
    """The rules of every Service listener that some route has for a parent; hostnames mean nothing there."""
    rules: dict[str, list[RankedRule]] = {}
    for route in routes:
        for listener in {name: None for binding in route.bindings for name in binding.services}:
            rules.setdefault(listener, []).extend(route.rules)
    return {listener: tuple(in_order(ranked)) for listener, ranked in rules.items()}
