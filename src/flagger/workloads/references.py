"""Where a pod template refers to ConfigMaps and Secrets, and how those references are redirected. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any, NamedTuple

from flagger.kube.objects import CONFIG_MAP, SECRET, Kind, Object


class Reference(NamedTuple):
    """A ConfigMap or Secret that a pod needs."""

    kind: Kind
    name: str

    @property
    def key(self) -> str:
        """`configmap/<name>` or `secret/<name>`, as `status.trackedConfigs` spells it."""
        return f"{self.kind.kind.lower()}/{self.name}"


class _Place(NamedTuple):
    """One mention: `holder[field]` is the name."""

    kind: Kind
    holder: dict[str, Any]
    field: str

    @property
    def reference(self) -> Reference:
        return Reference(self.kind, self.holder[self.field])


def references_of(template: Object) -> dict[Reference, bool]:
    """The ConfigMaps, then the Secrets, that a template refers to, and whether its pods can't do without.

    Of several mentions the last one says whether it is mandatory, as upstream has it.
    """
    found = {place.reference: not place.holder.get("optional") for place in _places(template)}
    return {reference: found[reference] for reference in sorted(found, key=lambda item: item.kind is SECRET)}


def redirect(template: Object, tracked: Container[str]) -> None:
    """Point every reference whose key is tracked at the primary's copy, in place."""
    for place in list(_places(template)):
        if place.reference.key in tracked:
            place.holder[place.field] = f"{place.reference.name}-primary"


def _places(template: Object) -> Iterator[_Place]:
    pod = template.get("spec") or {}
    places = (*_in_volumes(pod), *_in_containers(pod))
    return (place for place in places if place.holder and place.holder.get(place.field))


def _in_volumes(pod: Object) -> Iterator[_Place]:
    for volume in pod.get("volumes") or ():
        yield _Place(CONFIG_MAP, volume.get("configMap") or {}, "name")
        yield _Place(SECRET, volume.get("secret") or {}, "secretName")
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield _Place(CONFIG_MAP, source.get("configMap") or {}, "name")
            yield _Place(SECRET, source.get("secret") or {}, "name")


def _in_containers(pod: Object) -> Iterator[_Place]:
    for container in (*(pod.get("containers") or ()), *(pod.get("initContainers") or ())):
        for variable in container.get("env") or ():
            source = variable.get("valueFrom") or {}
            yield _Place(CONFIG_MAP, source.get("configMapKeyRef") or {}, "name")
            yield _Place(SECRET, source.get("secretKeyRef") or {}, "name")
        for source in container.get("envFrom") or ():
            yield _Place(CONFIG_MAP, source.get("configMapRef") or {}, "name")
            yield _Place(SECRET, source.get("secretRef") or {}, "name")
