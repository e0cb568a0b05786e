"""Discovery documents: what the server offers, in the classic and in the aggregated form.

Forms as in the Kubernetes API reference: `meta/v1` APIVersions, APIGroupList, APIGroup, APIResourceList, and
`apidiscovery.k8s.io` APIGroupDiscoveryList.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

from flagger.sandbox.apiserver.types.registry import Registry
from flagger.sandbox.apiserver.types.resource_type import ResourceType
from flagger.sandbox.apiserver.types.resources import Subresource

Object = dict[str, Any]

AGGREGATED_VERSIONS = ("v2", "v2beta1")


def aggregated_type(version: str) -> str:
    """Return the content type of aggregated discovery in a version."""
    return f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"


def api_versions(address: str) -> Object:
    """Return the document of `/api`; `address` is host and port of the server."""
    clients = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": clients}


def api_groups(registry: Registry) -> Object:
    """Return the document of `/apis`."""
    groups = [_group(group, versions) for group, versions in registry.versions().items() if group]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def api_group(registry: Registry, group: str) -> Object | None:
    """Return the document of `/apis/<group>`, or None if there is no such group."""
    versions = registry.versions().get(group) if group else None
    return {"kind": "APIGroup", "apiVersion": "v1"} | _group(group, versions) if versions else None


def _group(group: str, versions: Sequence[str]) -> Object:
    listed = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
    return {"name": group, "versions": listed, "preferredVersion": listed[0]}


def api_resources(registry: Registry, group: str, version: str) -> Object | None:
    """Return the document of a group version, or None if it is not served."""
    types = registry.group_version(group, version)
    if not types:
        return None
    head = {"kind": "APIResourceList"} | ({"apiVersion": "v1"} if group else {})
    group_version = f"{group}/{version}" if group else version
    resources = [entry for item in sorted(types, key=_by_plural) for entry in _resources(item)]
    return head | {"groupVersion": group_version, "resources": resources}


def _by_plural(item: ResourceType) -> str:
    return item.plural


def _resources(item: ResourceType) -> Iterator[Object]:
    entry: Object = {
        "name": item.plural,
        "singularName": item.singular,
        "namespaced": item.namespaced,
        "kind": item.kind,
        "verbs": list(item.verbs),
    }
    if item.short_names:
        entry["shortNames"] = list(item.short_names)
    if item.categories:
        entry["categories"] = list(item.categories)
    if "list" in item.verbs:
        entry["storageVersionHash"] = _storage_hash(item)
    yield entry
    for subresource in item.subresource_table:
        yield _classic_subresource(item, subresource)


def _classic_subresource(item: ResourceType, subresource: Subresource) -> Object:
    entry: Object = {
        "name": f"{item.plural}/{subresource.name}",
        "singularName": "",
        "namespaced": item.namespaced,
    }
    if subresource.version and (subresource.group, subresource.version) != (item.group, item.version):
        entry |= {"group": subresource.group, "version": subresource.version}
    return entry | {"kind": subresource.kind or item.kind, "verbs": list(subresource.verbs)}


def _storage_hash(item: ResourceType) -> str:
    identity = f"{item.storage}/{item.storage_version}/{item.kind}"
    return base64.b64encode(hashlib.sha256(identity.encode()).digest()[:8]).decode()


def aggregated(registry: Registry, *, core: bool, version: str) -> Object:
    """Return the APIGroupDiscoveryList of `/api` (`core`) or of `/apis`."""
    groups = [group for group in registry.versions() if bool(group) is not core]
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{version}",
        "metadata": {},
        "items": [_aggregated_group(registry, group) for group in groups],
    }


def _aggregated_group(registry: Registry, group: str) -> Object:
    meta: Object = {"name": group} if group else {}
    versions = [
        {
            "version": version,
            "resources": [
                _aggregated_resource(item)
                for item in sorted(registry.group_version(group, version), key=_by_plural)
            ],
            "freshness": "Current",
        }
        for version in registry.versions()[group]
    ]
    return {"metadata": meta | {"creationTimestamp": None}, "versions": versions}


def _aggregated_resource(item: ResourceType) -> Object:
    entry: Object = {
        "resource": item.plural,
        "responseKind": {"group": item.group, "version": item.version, "kind": item.kind},
        "scope": "Namespaced" if item.namespaced else "Cluster",
        "singularResource": item.singular,
        "verbs": list(item.verbs),
    }
    if item.short_names:
        entry["shortNames"] = list(item.short_names)
    if item.categories:
        entry["categories"] = list(item.categories)
    if item.subresource_table:
        entry["subresources"] = [_aggregated_subresource(item, one) for one in item.subresource_table]
    return entry


def _aggregated_subresource(item: ResourceType, subresource: Subresource) -> Object:
    if subresource.version:
        kind = {"group": subresource.group, "version": subresource.version, "kind": subresource.kind}
    else:
        kind = {"group": item.group, "version": item.version, "kind": item.kind}
    return {"subresource": subresource.name, "responseKind": kind, "verbs": list(subresource.verbs)}
