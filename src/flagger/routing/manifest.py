"""What every generated routing object and Service has in common."""

from __future__ import annotations

from collections.abc import Mapping

from flagger.api.canary import Canary
from flagger.api.names import GITOPS_IGNORE
from flagger.kube.objects import Kind, Object


def manifest(kind: Kind, canary: Canary, name: str, spec: Object) -> Object:
    """A routing object in the Canary's namespace, with the metadata asked for by `service.apex`."""
    custom = canary.spec.service.apex
    metadata: Object = {
        "name": name,
        "namespace": canary.namespace,
        "annotations": {**(custom.annotations if custom else {}), **GITOPS_IGNORE},
        "ownerReferences": [canary.owner_reference],
    }
    if custom and custom.labels:
        metadata["labels"] = dict(custom.labels)
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, "spec": spec}


def named_pairs(pairs: Mapping[str, str]) -> list[Object]:
    """A mapping as the list of names and values that most APIs want, in a stable order."""
    return [{"name": name, "value": value} for name, value in sorted(pairs.items())]
