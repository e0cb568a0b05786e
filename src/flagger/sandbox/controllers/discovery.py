"""Which resources a server has: its discovery documents, read as kinds with their verbs."""

from collections.abc import Collection
from dataclasses import dataclass

import msgspec

from flagger.kube.client import Client
from flagger.kube.errors import KubeError
from flagger.kube.objects import Kind, Object


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource type in the version that the server prefers."""

    kind: Kind
    verbs: Collection[str]


async def resources(client: Client) -> list[Resource]:
    """All resources, each once.

    Raises:
        KubeError: the server did not answer. A group that fails alone (an aggregated one) is left out.
    """
    found = await group_resources(client, "", "v1")
    groups = msgspec.json.decode(await client.raw("GET", "/apis"))["groups"]
    for group in groups:
        version = group["preferredVersion"]["version"]
        try:
            found += await group_resources(client, group["name"], version)
        except KubeError as error:
            if error.status != 503:
                raise
    return found


async def group_resources(client: Client, group: str, version: str) -> list[Resource]:
    """The resources of one group version, without subresources."""
    path = f"/apis/{group}/{version}" if group else f"/api/{version}"
    listed: list[Object] = msgspec.json.decode(await client.raw("GET", path))["resources"]
    return [
        Resource(
            Kind(group, version, entry["kind"], entry["name"], entry["namespaced"]), entry.get("verbs") or ()
        )
        for entry in listed
        if "/" not in entry["name"]
    ]


async def served(client: Client, *choices: Kind) -> Kind:
    """The first of several versions of a kind that the server has, or the first of all if it has none.

    Raises:
        KubeError: the server did not answer.
    """
    groups = msgspec.json.decode(await client.raw("GET", "/apis"))["groups"]
    versions = {(group["name"], version["version"]) for group in groups for version in group["versions"]}
    return next((kind for kind in choices if (kind.group, kind.version) in versions), choices[0])
