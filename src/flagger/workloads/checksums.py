"""What of a ConfigMap or Secret counts: its checksum, whether it is tracked, what a cache keeps of it. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from flagger.api.names import CONFIG_TRACKING, CONFIG_TRACKING_DISABLED_PREFIX
from flagger.kube.cache import Slim
from flagger.kube.objects import CONFIG_MAP, SECRET, Kind, Object, annotations_of, labels_of

_KEPT = "flagger.checksum"  # in a cached object only; no field of the API has a dot
_TYPES = frozenset({"Opaque", "kubernetes.io/basic-auth", "kubernetes.io/ssh-auth", "kubernetes.io/tls"})
_BULKY = frozenset(
    {
        "helm.sh/release.v1",
        "kubernetes.io/service-account-token",
        "kubernetes.io/dockercfg",
        "kubernetes.io/dockerconfigjson",
        "bootstrap.kubernetes.io/token",
    }
)
"""Types of Secrets that hold nothing for us: neither an application's data nor credentials of a provider."""

_ESCAPES = {
    ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"
}  # as Go's JSON encoder writes them

_MANAGERS = frozenset(
    {
        ("external-secrets.io", "ExternalSecret"),
        ("cert-manager.io", "Certificate"),
        ("bitnami.com", "SealedSecret"),
        ("secrets.hashicorp.com", "VaultStaticSecret"),
        ("secrets.hashicorp.com", "VaultDynamicSecret"),
        ("secrets.hashicorp.com", "VaultPKISecret"),
    }
)
"""Group and kind of the owners that rotate a Secret by themselves."""

_MANAGED_BY = ("cert-manager.io/certificate-name", "reconcile.external-secrets.io/managed")
"""Annotations and labels of Secrets whose manager doesn't own them (cert-manager's default)."""


def checksum_of(obj: Object) -> str:
    """Sixteen hex digits over the data, the same as upstream's; binary data counts where there is some.

    Not upstream's for a ConfigMap with `binaryData`, which upstream neither compares nor copies.
    """
    return str(obj.get(_KEPT) or _checksum(obj.get("data"), obj.get("binaryData")))


def _checksum(data: Mapping[str, str] | None, binary: Mapping[str, str] | None) -> str:
    text = _encoded(data) + (_encoded(binary) if binary else "")
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _encoded(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.translate(_ESCAPES)


def is_tracked(obj: Object) -> bool:
    """Whether changes of a ConfigMap or Secret are released step by step.

    Not so where its owner opted out, for Secrets of types that are no application's data, and for those
    that a manager rotates: a frozen copy of a rotated password would lock the primary out. An explicit
    `flagger.app/config-tracking: enabled` tracks even those.
    """
    choice = annotations_of(obj).get(CONFIG_TRACKING)
    if choice is not None and choice.startswith(CONFIG_TRACKING_DISABLED_PREFIX):
        return False
    return "type" not in obj or (obj["type"] in _TYPES and (choice is not None or not _is_managed(obj)))


def _is_managed(secret: Object) -> bool:
    marks = annotations_of(secret).keys() | labels_of(secret).keys()
    owners = secret["metadata"].get("ownerReferences") or ()
    kinds = {(owner["apiVersion"].partition("/")[0], owner["kind"]) for owner in owners}
    return bool(kinds & _MANAGERS) or any(mark in marks for mark in _MANAGED_BY)


def tracked_checksum(obj: Object | None) -> str | None:
    """The checksum of what exists and is tracked."""
    return checksum_of(obj) if obj is not None and is_tracked(obj) else None


def slim_config_map(obj: Object) -> Object:
    """Only the checksum of the data: dashboards and bundles of certificates would fill the memory."""
    return _without_values(obj) | {_KEPT: checksum_of(obj)}


def slim_secret(obj: Object) -> Object:
    """The data of Secrets that may be credentials which we need; of the cluster's own only that they exist."""
    slim = _without_values(obj)
    if obj.get("type") in _BULKY:
        return slim
    return slim | {_KEPT: checksum_of(obj), **({"data": obj["data"]} if "data" in obj else {})}


def _without_values(obj: Object) -> Object:
    """Without data, and without annotations that may repeat it; kubectl's last-applied one does."""
    known = {CONFIG_TRACKING, *_MANAGED_BY}
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    metadata["annotations"] = {key: value for key, value in annotations_of(obj).items() if key in known}
    rest = {key: value for key, value in obj.items() if key not in {"data", "binaryData", "stringData"}}
    return {**rest, "metadata": metadata}


SLIM: Mapping[Kind, Slim] = {CONFIG_MAP: slim_config_map, SECRET: slim_secret}
"""What the operator's caches keep."""
