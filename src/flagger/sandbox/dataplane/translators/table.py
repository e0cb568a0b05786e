"""Which API families the data plane understands; a further one is a module and a row here."""

from collections.abc import Mapping

from flagger.kube.objects import Kind
from flagger.sandbox.dataplane.translators.base import Translator
from flagger.sandbox.dataplane.translators.gateway_api import GatewayApi
from flagger.sandbox.dataplane.translators.services import Services

TRANSLATORS: Mapping[str, Translator] = {
    "services": Services(),  # first: the others refer to its clusters and listeners
    "gateway-api": GatewayApi(),
}


def kinds_read() -> list[Kind]:
    """Every kind that some family reads, once."""
    return list(
        dict.fromkeys(kind for family in TRANSLATORS.values() for kind in (*family.needs, *family.uses))
    )
