"""One request, taken apart: who asks, for what, with which parameters and body."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aiohttp.web import BaseRequest

from flagger.sandbox.apiserver.negotiation import Media, negotiate
from flagger.sandbox.apiserver.routes import Target
from flagger.sandbox.apiserver.status_errors import bad_request, invalid_options
from flagger.sandbox.apiserver.types.causes import Cause
from flagger.sandbox.apiserver.types.resource_type import ResourceType

INTEGER = re.compile(r"[+-]?\d+")
FALSE = frozenset({"0", "false", "False", "FALSE", "f", "F"})


@dataclass(frozen=True, slots=True)
class User:
    """Who sent a request, as authentication found out."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""

    def info(self) -> dict[str, object]:
        """Return the `userInfo` of reviews; empty members are left out."""
        members = {"username": self.name, "uid": self.uid, "groups": list(self.groups)}
        return {name: value for name, value in members.items() if value}


@dataclass(frozen=True, slots=True)
class Call:
    """A request for a resource; `body` is empty for verbs that have none."""

    request: BaseRequest
    user: User
    target: Target
    verb: str
    query: Mapping[str, str]
    body: bytes = b""
    content_type: str = ""
    warnings: list[str] = field(default_factory=list)
    """Texts of `Warning` headers, collected on the way."""

    @property
    def kind(self) -> ResourceType:
        """The resource type that the path names."""
        return self.target.kind

    @property
    def namespace(self) -> str:
        """The namespace of the path; "" for cluster-scoped resources and for all namespaces."""
        return self.target.namespace or ""

    @property
    def name(self) -> str:
        """The name of the path."""
        return self.target.name

    @property
    def media(self) -> Media:
        """The form of answer that was asked for."""
        return negotiate(self.request.headers.get("Accept", ""))

    def flag(self, name: str) -> bool:
        """Read a boolean parameter: anything but 0 and false is true."""
        value = self.query.get(name)
        return value is not None and value != "" and value not in FALSE

    def integer(self, name: str) -> int | None:
        """Read an integer parameter.

        Raises:
            ApiError: 400, it is not a number.
        """
        value = self.query.get(name)
        if not value:
            return None
        if not INTEGER.fullmatch(value):
            raise bad_request(f'strconv.ParseInt: parsing "{value}": invalid syntax')
        return int(value)

    @property
    def dry_run(self) -> bool:
        """Whether nothing may be stored."""
        return "dryRun" in self.query

    @property
    def manager(self) -> str:
        """The field manager: the parameter, or the client's name up to the first slash."""
        agent = self.request.headers.get("User-Agent", "unknown")
        return self.query.get("fieldManager") or agent.partition("/")[0][:128]


OPTIONS: Mapping[str, str] = {
    "create": "CreateOptions",
    "update": "UpdateOptions",
    "patch": "PatchOptions",
    "delete": "DeleteOptions",
    "deletecollection": "DeleteOptions",
}
VALIDATIONS = frozenset({"", "Ignore", "Warn", "Strict"})


def check_options(call: Call) -> None:
    """Validate the parameters that all writes share.

    Raises:
        ApiError: 422 on the options object of the verb.
    """
    causes = [*_dry_run_causes(call), *_manager_causes(call), *_validation_causes(call)]
    if causes:
        raise invalid_options(OPTIONS[call.verb], *causes)


def _dry_run_causes(call: Call) -> list[Cause]:
    value = call.query.get("dryRun", "All")
    text = f'Unsupported value: []string{{"{value}"}}: supported values: "All"'
    return [] if value == "All" else [Cause("FieldValueNotSupported", text, "dryRun")]


def _manager_causes(call: Call) -> list[Cause]:
    if len(call.query.get("fieldManager", "").encode()) <= 128:
        return []
    return [Cause("FieldValueTooLong", "Too long: must have at most 128 bytes", "fieldManager")]


def _validation_causes(call: Call) -> list[Cause]:
    value = call.query.get("fieldValidation", "")
    text = f'Unsupported value: "{value}": supported values: "", "Ignore", "Strict", "Warn"'
    return [] if value in VALIDATIONS else [Cause("FieldValueNotSupported", text, "fieldValidation")]


def now() -> datetime:
    """The time that goes into objects: whole seconds, UTC."""
    return datetime.now(UTC).replace(microsecond=0)


def timestamp(moment: datetime) -> str:
    """Write a time as metadata does: RFC 3339, whole seconds, `Z`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
