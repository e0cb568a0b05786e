"""Apache APISIX: an ApisixRoute to the apex Service, which the Canary names."""

from collections.abc import Sequence
from typing import Any

from flagger.kube.objects import Kind, Object
from tests.e2e.providers.setting import BLUE_GREEN, CANARY, PORT, Setting, a_front

APISIX_ROUTE = Kind("apisix.apache.org", "v2", "ApisixRoute", "apisixroutes")


def _spec(name: str) -> dict[str, Any]:
    return {"routeRef": {"apiVersion": APISIX_ROUTE.api_version, "kind": APISIX_ROUTE.kind, "name": name}}


def _objects(name: str) -> Sequence[Object]:
    rule = {
        "name": "all",
        "match": {"hosts": [f"{name}.example"], "paths": ["/*"]},
        "backends": [{"serviceName": name, "servicePort": PORT}],
    }
    route = {
        "apiVersion": APISIX_ROUTE.api_version,
        "kind": APISIX_ROUTE.kind,
        "metadata": {"name": name},
        "spec": {"http": [rule]},
    }
    return [a_front("apisix"), route]


APISIX = Setting(
    provider="apisix",
    strategies=(CANARY, BLUE_GREEN),
    spec=_spec,
    objects=_objects,
    kinds=(APISIX_ROUTE,),
    front="front",
)
