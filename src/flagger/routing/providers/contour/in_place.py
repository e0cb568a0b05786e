"""Where an HTTPProxy keeps its weights. Field meanings: https://projectcontour.io/docs/main/config/api/ (Service)."""

from __future__ import annotations

from flagger.api.references import Key
from flagger.kube.objects import Object
from flagger.routing.held import EACH, Layout


def _service_of(entry: Object, namespace: str) -> Key | None:
    """The Service of an entry; one that gets copies takes no part in the split."""
    return None if entry.get("mirror") else Key(namespace, entry.get("name", ""))


HTTP_PROXY = Layout(
    group="projectcontour.io",
    kind="HTTPProxy",
    plural="httpproxies",
    lists=[("routes", EACH, "services")],
    service_of=_service_of,
    absent=0,
    even=True,
)
