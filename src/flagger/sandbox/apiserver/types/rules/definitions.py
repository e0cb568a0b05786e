"""Rules of CustomResourceDefinitions: names, versions, schemas, columns and subresources."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flagger.sandbox.apiserver.types import names
from flagger.sandbox.apiserver.types.causes import Cause, invalid, not_supported, required
from flagger.sandbox.apiserver.types.rules.base import IMMUTABLE, Object
from flagger.sandbox.apiserver.types.schema import structural

APPROVED = "api-approved.kubernetes.io"
PROTECTED = re.compile(r"(.*\.)?(k8s\.io|kubernetes\.io)")
COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
SIMPLE_PATH = re.compile(r"(\.[A-Za-z0-9_$-]+)+")


def definition(obj: Object, old: Object | None) -> Iterator[Cause]:
    """Check a CustomResourceDefinition."""
    spec = obj["spec"]
    named, group = spec["names"], spec.get("group", "")
    if obj["metadata"].get("name") != f"{named.get('plural', '')}.{group}":
        yield invalid(
            "metadata.name", obj["metadata"].get("name", ""), 'must be spec.names.plural+"."+spec.group'
        )
    yield from _approval(obj, group)
    yield from _group(group)
    if spec.get("scope") not in {"Cluster", "Namespaced"}:
        scope = spec.get("scope")
        supported = ("Cluster", "Namespaced")
        yield not_supported("spec.scope", scope, supported) if scope else required("spec.scope")
    yield from _names(named)
    if spec.get("preserveUnknownFields"):
        text = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        yield invalid("spec.preserveUnknownFields", True, text)
    yield from _versions(spec.get("versions") or ())
    if old is not None:
        yield from _kept(obj, old)


def _approval(obj: Object, group: str) -> Iterator[Cause]:
    """Groups of the project itself are not for everybody."""
    if not PROTECTED.fullmatch(group):
        return
    value = (obj["metadata"].get("annotations") or {}).get(APPROVED, "")
    field = f"metadata.annotations[{APPROVED}]"
    if not value:
        yield required(field, 'protected groups must have approval annotation "api-approved.kubernetes.io"')
    elif not value.startswith(("https://", "http://", "unapproved")):
        text = 'protected groups must have approval annotation with either a URL or a reason starting with "unapproved"'
        yield invalid(field, value, text)


def _group(group: str) -> Iterator[Cause]:
    if not group:
        yield required("spec.group")
    elif names.subdomain(group):
        yield invalid("spec.group", group, ",".join(names.subdomain(group)))
    elif "." not in group:
        yield invalid("spec.group", group, "should be a domain with at least one dot")


def _names(named: Mapping[str, Any]) -> Iterator[Cause]:
    for member in ("plural", "singular", "kind", "listKind"):
        text = named.get(member, "")
        problems = names.label_1035(text.lower()) if text else ()
        if not text:
            yield required(f"spec.names.{member}")
        elif problems:
            mixed = "may have mixed case, but should otherwise match: " if member.endswith("ind") else ""
            yield invalid(f"spec.names.{member}", text, mixed + ",".join(problems))
    if named.get("kind") and named.get("kind") == named.get("listKind"):
        yield invalid("spec.names.listKind", named["listKind"], "kind and listKind may not be the same")
    for member in ("shortNames", "categories"):
        for index, text in enumerate(named.get(member) or ()):
            if problems := names.label_1035(text):
                yield invalid(f"spec.names.{member}[{index}]", text, ",".join(problems))


def _versions(versions: Sequence[Mapping[str, Any]]) -> Iterator[Cause]:
    listed = [version.get("name", "") for version in versions]
    if len(set(listed)) != len(listed):
        yield invalid("spec.versions", listed, "must contain unique version names")
    if sum(1 for version in versions if version.get("storage")) != 1:
        yield invalid("spec.versions", listed, "must have exactly one version marked as storage version")
    for index, version in enumerate(versions):
        field = f"spec.versions[{index}]"
        if problems := names.label_1035(version.get("name", "")):
            yield invalid(f"{field}.name", version.get("name", ""), ",".join(problems))
        # A single version is checked in a form that keeps its parts at the top.
        yield from _version(version, "spec" if len(versions) == 1 else field, field)


def _version(version: Mapping[str, Any], top: str, field: str) -> Iterator[Cause]:
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    if schema is None:
        yield required(f"{field}.schema.openAPIV3Schema", "schemas are required")
    else:
        place = f"{top}.validation" if top == "spec" else f"{top}.schema"
        yield from structural.check(schema, f"{place}.openAPIV3Schema")
    for index, column in enumerate(version.get("additionalPrinterColumns") or ()):
        yield from _column(column, f"{top}.additionalPrinterColumns[{index}]")
    scale = (version.get("subresources") or {}).get("scale")
    if scale is not None:
        yield from _scale(scale, f"{top}.subresources.scale")


def _column(column: Mapping[str, Any], field: str) -> Iterator[Cause]:
    if not column.get("name"):
        yield required(f"{field}.name")
    kind, text = column.get("type", ""), f"must be one of {','.join(COLUMN_TYPES)}"
    if not kind:
        yield required(f"{field}.type", text)
    elif kind not in COLUMN_TYPES:
        yield invalid(f"{field}.type", kind, text)
    path = column.get("jsonPath", "")
    if not path:
        yield required(f"{field}.JSONPath")
    elif not path.startswith("."):
        yield invalid(f"{field}.JSONPath", path, "must be a simple json path starting with .")


def _scale(scale: Mapping[str, Any], field: str) -> Iterator[Cause]:
    for member, root in (("specReplicasPath", ".spec."), ("statusReplicasPath", ".status.")):
        path = scale.get(member, "")
        if not path:
            yield required(f"{field}.{member}")
            continue
        yield from _simple(path, f"{field}.{member}")
        if not path.startswith(root):
            yield invalid(f"{field}.{member}", path, f"should be a json path under {root[:-1]}")
    path = scale.get("labelSelectorPath")
    if path and not path.startswith((".spec.", ".status.")):
        yield invalid(
            f"{field}.labelSelectorPath", path, "should be a json path under either .spec or .status"
        )


def _simple(path: str, field: str) -> Iterator[Cause]:
    if not path.startswith("."):
        yield invalid(field, path, "must be a simple json path starting with .")
    elif not SIMPLE_PATH.fullmatch(path):
        yield invalid(field, path, "must be a json path in the dot notation")


def _kept(obj: Object, old: Object) -> Iterator[Cause]:
    """Check what cannot change once the kind is served."""
    conditions = (old.get("status") or {}).get("conditions") or ()
    established = any(
        item.get("type") == "Established" and item.get("status") == "True" for item in conditions
    )
    spec, before = obj["spec"], old["spec"]
    if established and spec.get("scope") != before.get("scope"):
        yield invalid("spec.scope", spec.get("scope"), IMMUTABLE)
    if established and spec["names"].get("kind") != before["names"].get("kind"):
        yield invalid("spec.names.kind", spec["names"].get("kind"), IMMUTABLE)
    if spec.get("group") != before.get("group"):
        yield invalid("spec.group", spec.get("group"), IMMUTABLE)
    if spec["names"].get("plural") != before["names"].get("plural"):
        yield invalid("spec.names.plural", spec["names"].get("plural"), IMMUTABLE)
    listed = [version.get("name") for version in spec.get("versions") or ()]
    for index, name in enumerate((obj.get("status") or {}).get("storedVersions") or ()):
        if name not in listed:
            yield invalid(f"status.storedVersions[{index}]", name, "must appear in spec.versions")
