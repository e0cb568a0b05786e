"""Gloo Edge: a VirtualService that delegates to the generated RouteTable by its label."""

from collections.abc import Sequence
from typing import Any

from flagger.kube.objects import Object
from flagger.sandbox.dataplane.kinds import GLOO_VIRTUAL_SERVICE
from tests.e2e.providers.setting import AB, BLUE_GREEN, CANARY, Setting, a_front


def _spec(name: str) -> dict[str, Any]:
    return {"service": {"apex": {"labels": {"delegated": name}}}}


def _objects(name: str) -> Sequence[Object]:
    delegate = {"selector": {"labels": {"delegated": name}}}
    routes = [{"matchers": [{"prefix": "/"}], "delegateAction": delegate}]
    service = {
        "apiVersion": GLOO_VIRTUAL_SERVICE.api_version,
        "kind": GLOO_VIRTUAL_SERVICE.kind,
        "metadata": {"name": name},
        "spec": {"virtualHost": {"domains": [f"{name}.example"], "routes": routes}},
    }
    return [a_front("gloo"), service]


GLOO = Setting(
    provider="gloo",
    strategies=(CANARY, AB, BLUE_GREEN),
    spec=_spec,
    objects=_objects,
    kinds=(GLOO_VIRTUAL_SERVICE,),
    front="front",
)
