"""Which API families the data plane understands; a further one is a module and a row here."""

from collections.abc import Mapping

from flagger.kube.objects import Kind
from flagger.sandbox.dataplane.translators.app_mesh import AppMesh
from flagger.sandbox.dataplane.translators.base import Translator
from flagger.sandbox.dataplane.translators.contour import Contour
from flagger.sandbox.dataplane.translators.gateway_api import GatewayApi
from flagger.sandbox.dataplane.translators.gloo import Gloo
from flagger.sandbox.dataplane.translators.istio.translator import Istio
from flagger.sandbox.dataplane.translators.knative import Knative
from flagger.sandbox.dataplane.translators.kuma import Kuma
from flagger.sandbox.dataplane.translators.nginx import Nginx
from flagger.sandbox.dataplane.translators.services import Services
from flagger.sandbox.dataplane.translators.smi import Smi

TRANSLATORS: Mapping[str, Translator] = {
    "services": Services(),  # first: the others refer to its clusters and listeners
    "app-mesh": AppMesh(),
    "contour": Contour(),
    "gateway-api": GatewayApi(),
    "istio": Istio(),
    "gloo": Gloo(),
    "nginx": Nginx(),
    "knative": Knative(),
    "kuma": Kuma(),
    "smi": Smi(),
}


def kinds_read() -> list[Kind]:
    """Every kind that some family reads, once."""
    return list(
        dict.fromkeys(kind for family in TRANSLATORS.values() for kind in (*family.needs, *family.uses))
    )
