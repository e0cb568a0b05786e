"""Sends one message to one receiver: format, retries, and what the service says to it.

Nothing that leaves this module shows the path of an address or a token.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
from yarl import URL

from flagger.notify.message import Message, Receiver, origin_of
from flagger.notify.retries import is_passing, pause
from flagger.notify.table import CHANNELS
from flagger.outbound import Answer, Call, Outbound, OutboundError, Proxies, excerpt

ATTEMPTS = 4
TIME_LIMIT = timedelta(seconds=5)
"""Limit of one attempt, from the name to the end of the answer."""
LONGEST_REPLY = 64 * 1024  # bytes
_SHOWN = 200  # characters of what a receiver says

_TEAMS_FAILURE = "Webhook message delivery failed"
"""How a connector of Microsoft Teams begins a failure, which it sends with status 200."""
_PASSING_WORDS = ("ratelimited", "rate_limited", "service_unavailable", "internal_error", "HTTP error 429")


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a message fared; `problem` is empty when it arrived."""

    problem: str
    attempts: int


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Poster:
    """Sends messages to chat services."""

    def __init__(
        self,
        outbound: Outbound,
        *,
        proxies: Proxies | None = None,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        """`proxies` serve receivers without one of their own; `now` is compared with dates they send."""
        self._outbound = outbound
        self._proxies = proxies or Proxies()
        self._now = now

    async def post(self, message: Message, receiver: Receiver) -> Delivery:
        """Send a message until it is taken, refused for good, or the attempts are used up; never raises."""
        call = self._call(message, receiver)
        for attempt in range(1, ATTEMPTS + 1):
            result = await self._attempt(call)
            problem = _problem(result, receiver.secrets)
            if not problem or attempt == ATTEMPTS or not _may_pass(result, problem):
                break
            await asyncio.sleep(pause(result, attempt, self._now()).total_seconds())
        return Delivery(problem, attempt)

    def _call(self, message: Message, receiver: Receiver) -> Call:
        post = CHANNELS[receiver.type](message, receiver)
        return Call(
            url=post.url,
            method="POST",
            headers=[("Content-Type", "application/json"), *post.headers],
            body=msgspec.json.encode(post.body),
            within=TIME_LIMIT,
            connect_within=TIME_LIMIT,
            max_body=LONGEST_REPLY,
            cut=True,
            proxy=receiver.proxy or self._proxies.for_url(URL(post.url)) or "",
            fresh=True,
            address=receiver.origin,
        )

    async def _attempt(self, call: Call) -> Answer | OutboundError:
        try:
            return await self._outbound.send(call)
        except OutboundError as error:
            return error


def _problem(result: Answer | OutboundError, secrets: tuple[str, ...]) -> str:
    """Return why a message was not taken, in one line; empty when it was."""
    if isinstance(result, OutboundError):
        return excerpt(result.problem, secrets=secrets)
    said = _refusal(result.body) if 200 <= result.status < 300 else result.body.decode(errors="replace")
    if 300 <= result.status < 400:
        said = f"redirects are not followed, use the final address{_target(result)}"
    if said is None:
        return ""
    status = f"{result.status} {excerpt(result.reason, secrets=secrets, limit=60)}".strip()
    shown = excerpt(said, secrets=secrets, limit=_SHOWN)
    return f"{status}: {shown}" if shown else status


def _refusal(body: bytes) -> str | None:
    """Return what a service says that answers 2xx without taking the message; None when it took it.

    Slack answers `{"ok": false, "error": …}`, Rocket.Chat `{"success": false, "error": …}`.
    """
    text = body.decode(errors="replace")
    if text.startswith(_TEAMS_FAILURE):
        return text
    try:
        reply = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    if not isinstance(reply, dict) or (reply.get("ok") is not False and reply.get("success") is not False):
        return None
    return f"not taken: {reply.get('error') or 'without a reason'}"


def _may_pass(result: Answer | OutboundError, problem: str) -> bool:
    return is_passing(result) or (
        isinstance(result, Answer)
        and result.status == 200
        and any(word in problem for word in _PASSING_WORDS)
    )


def _target(answer: Answer) -> str:
    """Return where a redirect leads, without the path: it is likely to be as secret as the first one."""
    location = answer.headers.get("location", "")
    try:
        return f" at {origin_of(location)}" if "://" in location else ""
    except ValueError:
        return ""
