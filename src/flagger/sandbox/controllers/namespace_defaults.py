"""What every namespace has from the start: a service account, and the certificate authority of the API server."""

from collections.abc import Iterable, Sequence

from flagger.kube.errors import AlreadyExists
from flagger.kube.objects import (
    CONFIG_MAP,
    NAMESPACE,
    SERVICE_ACCOUNT,
    Kind,
    Object,
    is_terminating,
    name_of,
    namespace_of,
)
from flagger.sandbox.controllers.loop import Context

ACCOUNT = "default"
ROOT_CA = "kube-root-ca.crt"


class NamespaceDefaults:
    """Creates both, again if somebody deletes them."""

    kinds: Sequence[Kind] = (NAMESPACE, SERVICE_ACCOUNT, CONFIG_MAP)

    def __init__(self, context: Context) -> None:
        self._cluster = context.cluster

    def keys(self, kind: Kind, old: Object | None, new: Object | None) -> Iterable[str]:
        """A new namespace, or one that has lost one of the two."""
        if kind == NAMESPACE:
            return [name_of(new)] if new is not None else []
        lost = new is None and old is not None and name_of(old) in {ACCOUNT, ROOT_CA}
        return [namespace_of(old)] if lost and old is not None else []

    async def reconcile(self, key: str) -> float | None:
        """Create what is missing in a namespace."""
        namespace = await self._cluster.get(NAMESPACE, None, key)
        if namespace is None or is_terminating(namespace):
            return None
        authority = (self._cluster.client.connection.ca or b"").decode()
        wanted: list[tuple[Kind, Object]] = [
            (SERVICE_ACCOUNT, {"metadata": {"name": ACCOUNT, "namespace": key}}),
            (CONFIG_MAP, {"metadata": {"name": ROOT_CA, "namespace": key}, "data": {"ca.crt": authority}}),
        ]
        for kind, obj in wanted:
            if await self._cluster.get(kind, key, name_of(obj)) is None:
                try:
                    await self._cluster.create(kind, obj)
                except AlreadyExists:
                    continue
        return None
