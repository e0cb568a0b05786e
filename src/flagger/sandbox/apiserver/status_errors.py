"""Failures as Kubernetes `Status` objects.

An `ApiError` is raised anywhere below the handler and becomes the answer there. The builders hold the
wording that clients match on; the objects follow `meta/v1` Status of the Kubernetes API.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flagger.sandbox.apiserver.types.causes import Cause
from flagger.sandbox.apiserver.types.resource_type import ResourceType

ACCEPTED = "application/json, application/yaml"
"""Told in 406 and 415. Protobuf bodies are read too, but nobody should be invited to send them."""


class ApiError(Exception):
    """An answer other than success; `details` is left out of the body when None."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.headers = dict(headers or {})
        self.metadata = dict(metadata or {})

    def body(self) -> dict[str, Any]:
        """Return the Status object, members in the order real servers use."""
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": self.metadata,
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            status["reason"] = self.reason
        if self.details is not None:
            status["details"] = dict(self.details)
        return status | {"code": self.code}


def qualified(name: str, group: str) -> str:
    """Return `deployments.apps`, or the bare name for the core group."""
    return f"{name}.{group}" if group else name


def details_of(kind: str, group: str, name: str = "") -> dict[str, Any]:
    """Return the `details` of a Status: empty members are left out."""
    members = {"name": name, "group": group, "kind": kind}
    return {key: value for key, value in members.items() if value}


def success(kind: ResourceType, name: str, uid: str) -> dict[str, Any]:
    """Return the Status that answers a delete which removed the object at once."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details_of(kind.plural, kind.group, name) | {"uid": uid},
    }


def created() -> dict[str, Any]:
    """Return the Status that answers a binding or an eviction."""
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def bad_request(message: str) -> ApiError:
    """400: the request cannot be understood."""
    return ApiError(400, "BadRequest", message)


def unauthorized() -> ApiError:
    """401: credentials were sent, and they are unknown."""
    return ApiError(401, "Unauthorized", "Unauthorized")


def forbidden(kind: ResourceType, name: str, why: str, causes: Sequence[Cause] = ()) -> ApiError:
    """403 of an admission rule or of the authorizer; `why` completes the sentence."""
    quoted = f' "{name}"' if name else ""
    details = details_of(kind.plural, kind.group, name)
    if causes:
        details["causes"] = [cause.as_dict() for cause in causes]
    message = f"{qualified(kind.plural, kind.group)}{quoted} is forbidden: {why}"
    return ApiError(403, "Forbidden", message, details=details)


def not_found(kind: ResourceType, name: str) -> ApiError:
    """404: the resource is served, the object is not there."""
    message = f'{qualified(kind.plural, kind.group)} "{name}" not found'
    return ApiError(404, "NotFound", message, details=details_of(kind.plural, kind.group, name))


def no_such_resource() -> ApiError:
    """404: nothing is served at this path."""
    return ApiError(404, "NotFound", "the server could not find the requested resource", details={})


def method_not_allowed(message: str = "") -> ApiError:
    """405: the path exists, the verb does not."""
    text = message or "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", text, details={})


def not_acceptable(message: str = "406: Not Acceptable") -> ApiError:
    """406: no entry of the Accept header can be served."""
    return ApiError(406, "NotAcceptable", message, details={} if message.startswith("406") else None)


def already_exists(kind: ResourceType, name: str) -> ApiError:
    """409: a POST of a name that is taken."""
    message = f'{qualified(kind.plural, kind.group)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, details=details_of(kind.plural, kind.group, name))


STALE = "the object has been modified; please apply your changes to the latest version and try again"


def conflict(plural: str, group: str, name: str, why: str = STALE) -> ApiError:
    """409: the write was based on an older state, or a precondition failed."""
    message = f'Operation cannot be fulfilled on {qualified(plural, group)} "{name}": {why}'
    return ApiError(409, "Conflict", message, details=details_of(plural, group, name))


def expired(message: str, token: str = "") -> ApiError:
    """410: the asked revision is no longer remembered; `token` continues the list inconsistently."""
    return ApiError(410, "Expired", message, metadata={"continue": token} if token else None)


def too_large(limit: int) -> ApiError:
    """413: the body is larger than `limit` bytes."""
    return ApiError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {limit}")


def unsupported_media_type(accepted: str = "") -> ApiError:
    """415: the body has a content type that this request does not take."""
    if not accepted:
        return ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", details={})
    message = f"the body of the request was in an unknown format - accepted media types include: {accepted}"
    return ApiError(415, "UnsupportedMediaType", message)


def invalid(kind: str, group: str, name: str, causes: Sequence[Cause]) -> ApiError:
    """422: one cause per violation; a problem found twice is told once in the message."""
    problems = list(dict.fromkeys(f"{cause.field}: {cause.message}" for cause in causes))
    listed = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
    details = details_of(kind, group, name) | {"causes": [cause.as_dict() for cause in causes]}
    message = f'{qualified(kind, group)} "{name}" is invalid: {listed}'
    return ApiError(422, "Invalid", message, details=details)


def invalid_options(options: str, *causes: Cause) -> ApiError:
    """422 on the options of a request, for example `CreateOptions`."""
    return invalid(options, "meta.k8s.io", "", causes)


def rejected() -> ApiError:
    """422 without an explanation, which is what a JSON patch that does not apply gets."""
    message = "the server rejected our request due to an error in our request"
    return ApiError(422, "Invalid", message, details={})


def too_many_requests(message: str, *, causes: Sequence[Cause] = (), retry_after: int = 0) -> ApiError:
    """429: an eviction that a budget forbids, or too many requests in flight (then `retry_after` seconds)."""
    details: dict[str, Any] = {}
    if causes:
        details["causes"] = [cause.as_dict() for cause in causes]
    if retry_after:
        details["retryAfterSeconds"] = retry_after
    headers = {"Retry-After": str(retry_after)} if retry_after else {}
    return ApiError(429, "TooManyRequests", message, details=details, headers=headers)


def internal(message: str) -> ApiError:
    """500: a text without a reason, as older servers answer some malformed requests."""
    return ApiError(500, "", message)


def revision_too_large(asked: int, current: int) -> ApiError:
    """504: a read asked for a revision that has not happened yet."""
    return ApiError(
        504,
        "Timeout",
        f"Timeout: Too large resource version: {asked}, current: {current}",
        details={
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        },
        headers={"Retry-After": "1"},
    )
