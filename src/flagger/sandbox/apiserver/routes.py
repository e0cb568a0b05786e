"""From a URL path to the resource it names; the layout of "API concepts" in the Kubernetes reference."""

from __future__ import annotations

from dataclasses import dataclass

from flagger.sandbox.apiserver.status_errors import no_such_resource
from flagger.sandbox.apiserver.types.registry import Registry
from flagger.sandbox.apiserver.types.resource_type import ResourceType

NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})


@dataclass(frozen=True, slots=True)
class GroupVersion:
    """The first segments of a resource path: `/api/v1` or `/apis/apps/v1`."""

    group: str
    version: str


@dataclass(frozen=True, slots=True)
class Target:
    """What a resource path names; an empty `name` means the collection."""

    kind: ResourceType
    namespace: str | None = None
    name: str = ""
    subresource: str = ""
    watch: bool = False
    """The path has the legacy form `/api/v1/watch/…`."""

    @property
    def resource(self) -> str:
        """`deployments`, or `deployments/scale`: what access rules call it."""
        return f"{self.kind.plural}/{self.subresource}" if self.subresource else self.kind.plural


def split_path(path: str) -> list[str]:
    """Return the segments of a path; trailing slashes count for nothing."""
    return [segment for segment in path.split("/") if segment]


def group_version(segments: list[str]) -> tuple[GroupVersion, list[str]] | None:
    """Take group and version off a path; None if it is not one of a resource."""
    if segments[:1] == ["api"] and len(segments) > 2:
        return GroupVersion("", segments[1]), segments[2:]
    if segments[:1] == ["apis"] and len(segments) > 3:
        return GroupVersion(segments[1], segments[2]), segments[3:]
    return None


def resolve(registry: Registry, where: GroupVersion, segments: list[str]) -> Target:
    """Find the resource that the segments behind a group version name.

    Raises:
        ApiError: 404, no such resource, or the scope does not fit.
    """
    watch = segments[0] == "watch" and len(segments) > 1
    segments = segments[1:] if watch else segments
    namespace, segments = _namespace(segments)
    kind = registry.lookup(where.group, where.version, segments[0])
    if kind is None or (namespace is not None and not kind.namespaced):
        raise no_such_resource()
    name, subresource, *rest = [*segments[1:], "", ""]
    if kind.namespaced and namespace is None and name:
        raise no_such_resource()
    if subresource and subresource not in kind.subresources:
        raise no_such_resource()
    if any(rest) and subresource != "proxy":
        raise no_such_resource()
    return Target(kind, namespace, name, subresource, watch)


def _namespace(segments: list[str]) -> tuple[str | None, list[str]]:
    """Split `namespaces/NS/…` off, unless the namespace itself is meant."""
    if segments[0] != "namespaces" or len(segments) < 3 or segments[2] in NAMESPACE_SUBRESOURCES:
        return None, segments
    return segments[1], segments[2:]
