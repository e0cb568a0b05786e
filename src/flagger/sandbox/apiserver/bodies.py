"""From the bytes of a request body to an object: JSON, YAML or protobuf, checked against the URL."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import msgspec
import yaml
from aiohttp.web import BaseRequest

from flagger.sandbox.apiserver.call import Call
from flagger.sandbox.apiserver.negotiation import JSON, PROTOBUF, YAML
from flagger.sandbox.apiserver.status_errors import (
    ACCEPTED,
    ApiError,
    bad_request,
    too_large,
    unsupported_media_type,
)
from flagger.sandbox.apiserver.types import protobuf
from flagger.sandbox.apiserver.types.resource_type import Object, ResourceType

BODY_LIMIT = 3_145_728
_decode = msgspec.json.Decoder().decode


async def read_body(request: BaseRequest) -> bytes:
    """Read the whole body.

    Raises:
        ApiError: 413, it is larger than 3 MiB.
    """
    if not request.body_exists:
        return b""
    parts, size = [], 0
    async for part in request.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > BODY_LIMIT:
            raise too_large(BODY_LIMIT)
    return b"".join(parts)


def media_type(header: str | None) -> str:
    """Return the bare media type of a Content-Type header; a missing one means JSON."""
    return (header or JSON).partition(";")[0].strip().lower()


class _Loader(yaml.SafeLoader):
    """YAML 1.1 as Kubernetes reads it: times stay text, a bare `y` or `n` is a boolean."""

    bool_values: ClassVar[dict[str, bool]] = {**yaml.SafeLoader.bool_values, "y": True, "n": False}


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:y|Y|n|N)$"), list("yYnN"))


def parse_yaml(body: bytes) -> Any:
    """Read one YAML document.

    Raises:
        ApiError: 400, it is not YAML.
    """
    if body.lstrip().startswith(b"{"):  # most clients send JSON, which is read much faster
        with contextlib.suppress(msgspec.DecodeError):
            return _decode(body)
    try:
        return yaml.load(body, _Loader)
    except yaml.YAMLError as error:
        raise bad_request(f"error converting YAML to JSON: {error}") from error


def parse_json(body: bytes) -> Any:
    """Read a JSON value.

    Raises:
        ApiError: 400, it is not JSON.
    """
    try:
        return _decode(body)
    except msgspec.DecodeError as error:
        raise bad_request(f"error decoding JSON: {error}") from error


def _parse_protobuf(body: bytes) -> Any:
    try:
        return protobuf.decode(body)
    except protobuf.UnknownKind as error:
        raise unsupported_media_type(f"{JSON}, {YAML}") from error
    except ValueError as error:
        raise bad_request(str(error)) from error


PARSERS: Mapping[str, Callable[[bytes], Any]] = {
    JSON: parse_json,
    YAML: parse_yaml,
    PROTOBUF: _parse_protobuf,
}


def parse(call: Call, accepted: str = ACCEPTED) -> Any:
    """Read the body in the format that its Content-Type names.

    Raises:
        ApiError: 415 for another format, 400 for a malformed body.
    """
    parser = PARSERS.get(call.content_type)
    if parser is None or (call.content_type == PROTOBUF and call.kind.custom):
        raise unsupported_media_type(accepted)
    return parser(call.body)


def object_of(call: Call) -> Object:
    """Read the body of a POST or PUT as an object of the kind that the URL names.

    Raises:
        ApiError: 400 (or 415) with the reason.
    """
    if not call.body.strip():
        raise _unrecognized(call.kind, "unexpected end of JSON input (<empty>)")
    try:
        value = parse(call)
    except ApiError as error:
        if error.code != 400 or call.content_type == PROTOBUF:
            raise
        raise _unrecognized(call.kind, f"{error.message} ({_excerpt(call.body)})") from error
    if not isinstance(value, dict):
        raise _unrecognized(call.kind, f"expected an object, got {_excerpt(call.body)}")
    return named(value, call.kind)


def _unrecognized(kind: ResourceType, why: str) -> ApiError:
    what = f"the object provided is unrecognized (must be of type {kind.kind})"
    return bad_request(f"{what}: couldn't get version/kind; json parse error: {why}")


def _excerpt(body: bytes) -> str:
    text = body.decode(errors="replace")
    return text if len(text) <= 100 else f"{text[:100]} ..."


def named(obj: Object, kind: ResourceType) -> Object:
    """Check kind and apiVersion against the URL; built-in kinds may leave them out.

    Raises:
        ApiError: 400, they differ, or a custom resource lacks them.
    """
    expected = kind.api_version
    given_kind, given_version = obj.get("kind") or "", obj.get("apiVersion") or ""
    if kind.custom and not (given_kind and given_version):
        missing = "kind" if not given_kind else "apiVersion"
        raise bad_request(f"Object '{missing.capitalize()}' is missing in the body of the request")
    if given_version and given_version != expected:
        data = f"the API version in the data ({given_version})"
        raise bad_request(f"{data} does not match the expected API version ({expected})")
    if given_kind and given_kind != kind.kind:
        raise bad_request(
            f'{given_kind} in version "{kind.version}" cannot be handled as a {kind.kind}: '
            f"converting ({given_kind}) to ({kind.kind}): unknown conversion"
        )
    return obj | {"kind": kind.kind, "apiVersion": expected, "metadata": _metadata(obj, kind)}


TEXTS = ("name", "generateName", "namespace", "uid", "resourceVersion")
"""Members of metadata that are looked at before the object as a whole is checked."""


def _metadata(obj: Object, kind: ResourceType) -> Object:
    given = obj.get("metadata")
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise _mistyped(kind, "metadata", "ObjectMeta")
    for name in TEXTS:
        if not isinstance(given.get(name), str | None):
            raise _mistyped(kind, f"metadata.{name}", "string")
    return dict(given)


def _mistyped(kind: ResourceType, field: str, wanted: str) -> ApiError:
    what = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}'
    return bad_request(f"{what}: json: cannot unmarshal {kind.kind}.{field} into a value of type {wanted}")


def check_fields(call: Call, obj: Object) -> None:
    """Deal with fields that the kind does not have, as `fieldValidation` asks; they are pruned later.

    Raises:
        ApiError: 400 if validation is strict.
    """
    mode = call.query.get("fieldValidation") or "Warn"
    if mode == "Ignore":
        return
    problems = [f'unknown field "{path}"' for path in call.kind.unknown_fields(obj)]
    problems += [f'duplicate field "{path}"' for path in _duplicates(call, mode)]
    if problems and mode == "Strict":
        raise bad_request(_strict_text(call.kind, problems))
    call.warnings.extend(problems)


def _strict_text(kind: ResourceType, problems: list[str]) -> str:
    strict = f"strict decoding error: {', '.join(problems)}"
    return f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {strict}'


def _duplicates(call: Call, mode: str) -> list[str]:
    """Return the names that appear twice in one object of a JSON body; only looked for when it is strict."""
    if mode != "Strict" or call.content_type != JSON:
        return []
    found: list[str] = []

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        found.extend(name for name in dict.fromkeys(names) if names.count(name) > 1)
        return dict(pairs)

    json.loads(call.body, object_pairs_hook=collect)
    return found
