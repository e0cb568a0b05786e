"""ingress-nginx: an Ingress to the apex Service, which the Canary names."""

from collections.abc import Sequence
from typing import Any

from flagger.kube.objects import INGRESS, Object
from tests.e2e.providers.setting import AB, BLUE_GREEN, CANARY, PORT, Setting, a_front


def _spec(name: str) -> dict[str, Any]:
    return {"ingressRef": {"apiVersion": INGRESS.api_version, "kind": INGRESS.kind, "name": name}}


def _objects(name: str) -> Sequence[Object]:
    backend = {"service": {"name": name, "port": {"number": PORT}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    ingress = {
        "apiVersion": INGRESS.api_version,
        "kind": INGRESS.kind,
        "metadata": {"name": name},
        "spec": {
            "ingressClassName": "nginx",
            "rules": [{"host": f"{name}.example", "http": {"paths": [path]}}],
        },
    }
    return [a_front("nginx"), ingress]


NGINX = Setting(
    provider="nginx",
    strategies=(CANARY, AB, BLUE_GREEN),
    spec=_spec,
    objects=_objects,
    kinds=(INGRESS,),
    front="front",
)
