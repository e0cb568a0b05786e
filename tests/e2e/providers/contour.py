"""Contour: a root HTTPProxy that includes the generated one, or an HTTPProxy of the user's own."""

from collections.abc import Sequence
from typing import Any

from flagger.kube.objects import Object
from flagger.routing.providers.contour.router import HTTP_PROXY
from tests.e2e.providers.setting import AB, BLUE_GREEN, CANARY, PORT, Setting, a_front


def _proxy(name: str, host: str, **spec: Any) -> Object:
    metadata = {"name": name}
    spec = {"virtualhost": {"fqdn": host}, **spec}
    return {"apiVersion": HTTP_PROXY.api_version, "kind": HTTP_PROXY.kind, "metadata": metadata, "spec": spec}


def _root(name: str) -> Sequence[Object]:
    includes = [{"name": name, "conditions": [{"prefix": "/"}]}]
    return [a_front("contour"), _proxy(f"{name}-root", f"{name}.example", includes=includes)]


def _own(name: str) -> Sequence[Object]:
    services = [
        {"name": f"{name}-primary", "port": PORT, "weight": 1},
        {"name": f"{name}-canary", "port": PORT},
    ]
    routes = [{"conditions": [{"prefix": "/"}], "services": services}]
    return [a_front("contour"), _proxy(f"{name}-own", f"{name}.example", routes=routes)]


def _names_own(name: str) -> dict[str, Any]:
    ref = {"apiVersion": HTTP_PROXY.api_version, "kind": HTTP_PROXY.kind, "name": f"{name}-own"}
    return {"service": {"routeRefs": [ref]}}


CONTOUR = [
    Setting(
        provider="contour",
        strategies=(CANARY, AB, BLUE_GREEN),
        spec=lambda _: {},
        objects=_root,
        kinds=(HTTP_PROXY,),
        front="front",
    ),
    Setting(
        title="contour in place",
        provider="contour",
        strategies=(CANARY, BLUE_GREEN),
        spec=_names_own,
        objects=_own,
        kinds=(HTTP_PROXY,),
        front="front",
    ),
]
