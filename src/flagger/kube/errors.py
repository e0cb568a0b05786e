"""What a Kubernetes API can refuse, as exceptions that say which request on which object failed.

The mapping follows the `Status` object of the API (meta/v1): HTTP code, `reason`, `message`, `details`.
"""
# ruff: noqa: N818 -- the names are the API's own words for these answers

from collections.abc import Mapping
from typing import Any

MESSAGE_LIMIT = 600  # characters; a server may echo whole values


class KubeError(Exception):
    """The API server refused a request, or could not be asked.

    `retry_after` is the number of seconds after which the server wants to be asked again, if it said so.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        details: Mapping[str, Any] | None = None,
        *,
        action: str = "",
    ) -> None:
        """`action` is what was tried: `patch Deployment shop/checkout`; `status` is 0 without an answer."""
        self.status = status
        self.reason = reason
        self.message = message if len(message) <= MESSAGE_LIMIT else message[:MESSAGE_LIMIT] + "…"
        self.details: Mapping[str, Any] = details or {}
        self.action = action
        seconds = self.details.get("retryAfterSeconds")
        self.retry_after = float(seconds) if isinstance(seconds, int | float) else None
        super().__init__(status, reason, message)

    def __str__(self) -> str:
        code = f" ({self.status} {self.reason})" if self.status else ""
        return f"{self.action}: {self.message}{code}" if self.action else f"{self.message}{code}"


class NotFound(KubeError):
    """404: no such object (or namespace, on create)."""


class KindMissing(NotFound):
    """404 for the whole resource type: the server does not serve it; usually its CRD is not installed."""


class AlreadyExists(KubeError):
    """409 on create: the name is taken."""


class Conflict(KubeError):
    """409: the object changed since it was read, or another field manager owns a field."""


class Invalid(KubeError):
    """400 or 422: the server understood the request and rejects its content."""


class Unauthorized(KubeError):
    """401: the server does not know who we are, even after fresh credentials."""


class Forbidden(KubeError):
    """403: the server knows who we are, and we may not do this."""


class Gone(KubeError):
    """410: the resourceVersion or continue token is too old; list again."""


class ServerTimeout(KubeError):
    """504, or 500 with a time-out reason: the server gave up; the request may or may not have happened."""


class TooManyRequests(KubeError):
    """429, after all retries; `retry_after` says when to ask again."""


class Unreachable(KubeError):
    """No HTTP answer: refused, reset, timed out, a TLS or proxy failure, or a broken stream."""

    def __init__(self, message: str, *, action: str = "", sent: bool = True) -> None:
        """`sent` is False when the request cannot have reached the server: repeating a write is safe."""
        super().__init__(0, "Unreachable", message, action=action)
        self.sent = sent


class ConfigError(KubeError):
    """No usable kubeconfig: what is wrong, where, and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(0, "Configuration", message)


class AuthError(KubeError):
    """Our own credentials could not be had: a plugin failed, a file is missing, a refresh was refused."""

    def __init__(self, message: str) -> None:
        super().__init__(0, "Credentials", message)


BY_REASON: Mapping[str, type[KubeError]] = {
    "AlreadyExists": AlreadyExists,
    "Conflict": Conflict,
    "Expired": Gone,
    "Gone": Gone,
    "Timeout": ServerTimeout,
    "ServerTimeout": ServerTimeout,
}
BY_CODE: Mapping[int, type[KubeError]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: TooManyRequests,
    504: ServerTimeout,
}


def error_from_status(
    code: int, status: Mapping[str, Any], *, action: str, whole_kind: str = ""
) -> KubeError:
    """The exception for a `Status` object (or {} when the body was none).

    `whole_kind` names the resource type for requests whose 404 may mean that the type itself is not served:
    such answers name no object in their details.
    """
    reason = str(status.get("reason") or "")
    message = str(status.get("message") or f"the server answered {code}")
    details = status.get("details")
    details = details if isinstance(details, Mapping) else {}
    if code == 404 and whole_kind and not details.get("name"):
        text = f"the server does not serve {whole_kind}; is its CustomResourceDefinition installed?"
        return KindMissing(404, reason or "NotFound", text, details, action=action)
    kind = BY_REASON.get(reason) or BY_CODE.get(code, KubeError)
    return kind(code, reason or "Unknown", message, details, action=action)
