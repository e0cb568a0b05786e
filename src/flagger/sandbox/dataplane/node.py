"""The data plane's addresses as annotations of the Node, where the other parts of a sandbox find them."""

from collections.abc import Callable, Mapping

import structlog

from flagger.kube.client import Client
from flagger.kube.errors import KubeError
from flagger.kube.objects import NODE, Kind, Object, annotations_of, name_of
from flagger.sandbox.dataplane.kinds import METRICS_ANNOTATION, PORT_OFFSET_ANNOTATION, PROXY_ANNOTATION
from flagger.sandbox.dataplane.snapshot import PORT_OFFSET, Site

METRICS_PATH = "/stats/prometheus?usedonly"
log = structlog.get_logger(__name__)


def notes(site: Site, admin_address: str) -> dict[str, str]:
    """What the Node is to say.

    - http-proxy: the forward proxy, as the environment variable `http_proxy` takes it;
    - envoy-metrics: the URL without scheme that Envoy's own metrics are scraped from;
    - port-offset: what is added to ports below 1024 of Services and Gateways to reach them; 0 if nothing.
    """
    host, port = site.proxy
    return {
        PROXY_ANNOTATION: f"http://{host}:{port}",
        METRICS_ANNOTATION: f"{admin_address}{METRICS_PATH}",
        PORT_OFFSET_ANNOTATION: "0" if site.low_ports else str(PORT_OFFSET),
    }


async def annotate(
    client: Client, node: Object | None, wanted: Mapping[str, str], learn: Callable[[Kind, Object], None]
) -> bool:
    """Put annotations on the Node where it says otherwise; False if that has to be tried again.

    A Node that is not there yet will be noticed when it comes.
    """
    if node is None or all(annotations_of(node).get(key) == value for key, value in wanted.items()):
        return True
    try:
        learn(
            NODE, await client.patch(NODE, name_of(node), None, {"metadata": {"annotations": dict(wanted)}})
        )
    except KubeError as error:
        log.warning("node not annotated", error=str(error))
        return False
    return True
