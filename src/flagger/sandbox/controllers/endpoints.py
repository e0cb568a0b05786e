"""Endpoints and EndpointSlices of Services that have a selector. What is in them is `endpoint_contents.py`'s."""

from collections.abc import Iterable, Sequence

from flagger.kube.errors import KubeError
from flagger.kube.objects import (
    ENDPOINTS,
    POD,
    SERVICE,
    Kind,
    Object,
    is_terminating,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    owner_reference,
    resource_version_of,
)
from flagger.sandbox.controllers.endpoint_contents import Backend, backends_of, same, slice_contents, subsets
from flagger.sandbox.controllers.loop import Context
from flagger.sandbox.controllers.owned import ByNamespace, Owned
from flagger.sandbox.controllers.pods import stamp
from flagger.sandbox.controllers.selectors import has_all

TRIGGER = "endpoints.kubernetes.io/last-change-trigger-time"
HEADLESS = "service.kubernetes.io/headless"
SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
PER_SLICE = 100


class ServiceEndpoints:
    """Keeps the addresses behind each Service."""

    def __init__(self, context: Context, slice_kind: Kind) -> None:
        """`slice_kind` is the EndpointSlice of a version that the server has."""
        self.kinds: Sequence[Kind] = (SERVICE, POD, ENDPOINTS, slice_kind)
        self._context = context
        self._cluster = context.cluster
        self._slice_kind = slice_kind
        self._services = ByNamespace(context.cluster, SERVICE)
        self._pods = ByNamespace(context.cluster, POD)
        self._slices = Owned(context.cluster, slice_kind)

    def keys(self, kind: Kind, old: Object | None, new: Object | None) -> Iterable[str]:
        """The Service, or those that select a pod; for what was made here, if it changed, whom it was made for."""
        states = [obj for obj in (old, new) if obj]
        if kind == POD:
            return {key_of(service) for pod in states for service in self._selecting(pod)}
        if kind == self._slice_kind:
            return {f"{namespace_of(obj)}/{labels_of(obj).get(SERVICE_NAME, '')}" for obj in states}
        return {key_of(obj) for obj in states}

    def _selecting(self, pod: Object) -> list[Object]:
        services = self._services.of(namespace_of(pod))
        return [
            s
            for s in services
            if (selector := s["spec"].get("selector")) and has_all(selector, labels_of(pod))
        ]

    async def reconcile(self, key: str) -> float | None:
        """Make the addresses of a Service those of its pods."""
        namespace, _, name = key.partition("/")
        service = await self._cluster.get(SERVICE, namespace, name)
        known = await self._cluster.get(ENDPOINTS, namespace, name)
        if service is None:
            await self._remove(known)
            return None
        if not service["spec"].get("selector") or is_terminating(service):
            return None
        pods = [
            pod for pod in self._pods.of(namespace) if has_all(service["spec"]["selector"], labels_of(pod))
        ]
        backends = backends_of(service, pods)
        failure = await self._put_endpoints(service, known, backends)
        await self._put_slices(service, backends)
        if failure is not None:
            raise failure
        return None

    async def _remove(self, known: Object | None) -> None:
        """The Service is gone: what was made for it goes too; slices have it as their owner."""
        if known is not None and TRIGGER in (known["metadata"].get("annotations") or {}):
            await self._cluster.delete(ENDPOINTS, name_of(known), namespace_of(known))

    async def _put_endpoints(
        self, service: Object, known: Object | None, backends: Sequence[Backend]
    ) -> KubeError | None:
        """Write the Endpoints object; the refusal of a server that does not like loopback addresses."""
        labels = dict(labels_of(service))
        if service["spec"].get("clusterIP") == "None":
            labels[HEADLESS] = ""
        wanted = subsets(backends)
        if known is not None and same(known.get("subsets") or [], wanted) and labels_of(known) == labels:
            return None
        metadata: Object = {
            "name": name_of(service),
            "namespace": namespace_of(service),
            "labels": labels,
            "annotations": {TRIGGER: stamp(self._context.now())},
        }
        try:
            if known is None:
                await self._cluster.create(ENDPOINTS, {"metadata": metadata, "subsets": wanted})
            else:
                gone = {label: None for label in labels_of(known) if label not in labels}
                metadata |= {"labels": labels | gone, "resourceVersion": resource_version_of(known)}
                body = {"metadata": metadata, "subsets": wanted or None}
                await self._cluster.patch(ENDPOINTS, name_of(known), namespace_of(known), body)
        except KubeError as error:
            return error
        return None

    async def _put_slices(self, service: Object, backends: Sequence[Backend]) -> None:
        """Write the EndpointSlices, each with up to a hundred endpoints; there is always one."""
        known = sorted(self._slices.of(service), key=name_of)
        parts = [backends[start : start + PER_SLICE] for start in range(0, len(backends), PER_SLICE)] or [[]]
        for number, part in enumerate(parts):
            await self._put_slice(service, known[number] if number < len(known) else None, part)
        for surplus in known[len(parts) :]:
            await self._cluster.delete(self._slice_kind, name_of(surplus), namespace_of(surplus))

    async def _put_slice(self, service: Object, known: Object | None, backends: Sequence[Backend]) -> None:
        contents = slice_contents(backends, self._slice_kind.version)
        labels = {**labels_of(service), SERVICE_NAME: name_of(service), MANAGED_BY: MANAGER}
        if known is not None:
            present = {field: known.get(field) or [] for field in contents}
            if same(present, contents) and labels_of(known) == labels:
                return
        metadata: Object = {"labels": labels, "annotations": {TRIGGER: stamp(self._context.now())}}
        if known is None:
            metadata |= {
                "generateName": f"{name_of(service)}-",
                "namespace": namespace_of(service),
                "ownerReferences": [owner_reference(SERVICE, service)],
            }
            body = {"metadata": metadata, "addressType": "IPv4", **contents}
            await self._cluster.create(self._slice_kind, body)
            return
        metadata["resourceVersion"] = resource_version_of(known)
        metadata["labels"] = labels | {label: None for label in labels_of(known) if label not in labels}
        body = {"metadata": metadata, **contents}
        await self._cluster.patch(self._slice_kind, name_of(known), namespace_of(known), body)
