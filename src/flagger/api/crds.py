"""The CustomResourceDefinitions, made from the models: `python -m flagger.api.crds DIRECTORY` writes them.

No server can serve an object of ours without them; the sandbox and the tests install `manifests()` directly.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from flagger.api.alert_provider import AlertProvider
from flagger.api.canary import Canary
from flagger.api.metric_template import MetricTemplate
from flagger.api.model import Model
from flagger.api.names import GROUP, HELM_RESOURCE_POLICY, VERSION
from flagger.api.schema import JsonSchema
from flagger.api.structural import object_schema

CATEGORY = "all"  # `kubectl get all` lists our kinds
HEADER = "# Generated from the models by `make crds`; change those instead.\n"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`; those of priority 1 appear with `-o wide` only."""

    name: str
    path: str
    type: str = "string"
    priority: int = 0

    def as_object(self) -> dict[str, Any]:
        """Return the column as the API spells it."""
        column = {"name": self.name, "type": self.type, "jsonPath": self.path}
        return column | ({"priority": self.priority} if self.priority else {})


@dataclass(frozen=True, slots=True)
class Resource:
    """What a definition says beside the schema."""

    model: type[Model]
    plural: str
    text: str
    columns: Sequence[Column]

    @property
    def kind(self) -> str:
        """Return the kind, which is the name of the model."""
        return self.model.__name__


RESOURCES: Sequence[Resource] = (
    Resource(
        model=Canary,
        plural="canaries",
        text="Releases new revisions of a workload step by step, and takes bad ones back.",
        columns=(
            Column("Status", ".status.phase"),
            Column("Weight", ".status.canaryWeight"),
            Column("Suspended", ".spec.suspend", "boolean", 1),
            Column("FailedChecks", ".status.failedChecks", priority=1),
            Column("Interval", ".spec.analysis.interval", priority=1),
            Column("Mirror", ".spec.analysis.mirror", "boolean", 1),
            Column("StepWeight", ".spec.analysis.stepWeight", priority=1),
            Column("StepWeights", ".spec.analysis.stepWeights", priority=1),
            Column("MaxWeight", ".spec.analysis.maxWeight", priority=1),
            Column("LastTransitionTime", ".status.lastTransitionTime"),
        ),
    ),
    Resource(
        model=MetricTemplate,
        plural="metrictemplates",
        text="A metric query that Canaries can share.",
        columns=(Column("Provider", ".spec.provider.type"),),
    ),
    Resource(
        model=AlertProvider,
        plural="alertproviders",
        text="A chat channel that Canaries can share.",
        columns=(Column("Type", ".spec.type"),),
    ),
)


def manifests() -> list[dict[str, Any]]:
    """Return the definitions of all kinds as plain objects, ready to be created."""
    return [_definition(resource) for resource in RESOURCES]


def _definition(resource: Resource) -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{resource.plural}.{GROUP}",
            "annotations": {HELM_RESOURCE_POLICY: "keep"},
        },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": resource.kind,
                "listKind": f"{resource.kind}List",
                "plural": resource.plural,
                "singular": resource.kind.lower(),
                "categories": [CATEGORY],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [column.as_object() for column in resource.columns],
                    "schema": {"openAPIV3Schema": _root_schema(resource)},
                }
            ],
        },
    }


def _root_schema(resource: Resource) -> JsonSchema:
    """Return the schema of the whole object. Nothing is required at the root, as upstream has it."""
    own: Mapping[str, JsonSchema] = object_schema(resource.model)["properties"]
    return {
        "description": resource.text,
        "type": "object",
        "properties": {
            "apiVersion": {"description": "Version of this form of the object.", "type": "string"},
            "kind": {"description": "Kind of the object.", "type": "string"},
            **own,
            "metadata": {"type": "object"},  # the API server has its own schema for it and allows no other
        },
    }


class _Dumper(yaml.SafeDumper):
    """Writes every value where it is used: no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        """Say that no value may become an alias."""
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Indent lists below their key."""
        return super().increase_indent(flow, indentless=False)


def to_yaml(manifest: Mapping[str, Any]) -> str:
    """Return a definition as the text of its file."""
    body = yaml.dump(
        manifest, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True, default_flow_style=False
    )
    return HEADER + body


def write(directory: Path) -> None:
    """Write one file per definition, named after its plural."""
    directory.mkdir(parents=True, exist_ok=True)
    for manifest in manifests():
        path = directory / f"{manifest['spec']['names']['plural']}.yaml"
        path.write_text(to_yaml(manifest), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
