"""Calls to the hooks of a Canary: what is sent, what counts as a yes, and when to try again.

Payload, checksum and success rule are upstream's; receivers and load testers depend on them.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote

import msgspec

from flagger.api.analysis import Webhook
from flagger.api.canary import Canary
from flagger.notify.retries import is_passing, pause
from flagger.outbound import Answer, Call, Outbound, OutboundError, excerpt, shown_address

ACCEPTED = range(200, 203)
"""Statuses that mean yes. Not 204: an empty answer must not open a gate."""

RUN_HEADER = "X-Flagger-Run"
"""The same for every repetition of one call, also after a restart: receivers can recognise duplicates."""
HOOK_HEADER = "X-Flagger-Hook"
"""Type and percent-encoded name of the hook, `pre-rollout/load%20test`."""


@dataclass(frozen=True, slots=True)
class HookPayload:
    """The JSON that a hook receives; keys in upstream's order."""

    name: str
    namespace: str
    phase: str
    checksum: str
    metadata: Mapping[str, str] = field(default_factory=dict)

    def encode(self) -> bytes:
        """Return the body; without metadata there is no such key."""
        body: dict[str, object] = {
            "name": self.name,
            "namespace": self.namespace,
            "phase": self.phase,
            "checksum": self.checksum,
        }
        if self.metadata:
            body["metadata"] = dict(sorted(self.metadata.items()))
        return msgspec.json.encode(body)


@dataclass(frozen=True, slots=True)
class HookAnswer:
    """Whether a hook said yes, and if not, what it or the network said."""

    ok: bool
    detail: str = ""
    """One line without credentials; empty when ok."""
    attempts: int = 1


def payload_for(canary: Canary, phase: str, metadata: Mapping[str, str] | None = None) -> HookPayload:
    """Return the payload of a hook that is called for `canary` in `phase`."""
    status = canary.status
    digest = checksum(status.last_applied_spec, status.tracked_configs)
    return HookPayload(canary.name, canary.namespace, phase, digest, metadata or {})


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Webhooks:
    """Calls hooks, with their retries."""

    def __init__(self, outbound: Outbound, *, now: Callable[[], datetime] = _utc_now) -> None:
        """`now` is only compared with dates that receivers send."""
        self._outbound = outbound
        self._now = now

    async def call(self, hook: Webhook, payload: HookPayload, *, run: str = "") -> HookAnswer:
        """Call one hook until it answers or its retries are used up; never raises.

        Each attempt has the hook's whole time limit. `run` identifies the call for the receiver.
        """
        call = _request(hook, payload, run)
        attempts = 1 + max(0, hook.retries)
        for attempt in range(1, attempts + 1):
            result = await self._attempt(call)
            if isinstance(result, Answer) and result.status in ACCEPTED:
                return HookAnswer(True, attempts=attempt)
            if not is_passing(result):
                return HookAnswer(False, _final(result), attempt)
            if attempt < attempts:
                await asyncio.sleep(pause(result, attempt, self._now()).total_seconds())
        gave_up = f"POST {shown_address(hook.url)} giving up after {attempts} attempt(s): {_cause(result)}"
        return HookAnswer(False, gave_up, attempts)

    async def _attempt(self, call: Call) -> Answer | OutboundError:
        try:
            return await self._outbound.send(call)
        except OutboundError as error:
            return error


def _request(hook: Webhook, payload: HookPayload, run: str) -> Call:
    headers = [
        ("Content-Type", "application/json"),
        (HOOK_HEADER, f"{hook.kind}/{quote(hook.name, safe='')}"),
    ]
    if run:
        headers.append((RUN_HEADER, quote(run, safe="")))
    limit = hook.time_limit
    return Call(
        url=hook.url,
        method="POST",
        headers=headers,
        body=payload.encode(),
        within=limit,
        connect_within=limit,
        cut=True,
        fresh=True,
        verify=not hook.disable_tls,
    )


def _final(result: Answer | OutboundError) -> str:
    """Return why a call that is not repeated failed: the receiver's own words, where it has any."""
    if isinstance(result, OutboundError):
        return f"POST {result.address}: {result.problem}"
    return excerpt(result.body) or _cause(result)


def _cause(result: Answer | OutboundError) -> str:
    if isinstance(result, OutboundError):
        return result.problem
    if 200 <= result.status < 300:
        return f"{result.status_line} is not accepted, only 200, 201 and 202 are"
    if 300 <= result.status < 400:
        where = shown_address(result.headers.get("location", ""))
        return f"{result.status_line}: redirects are not followed, use {where or 'the final address'}"
    said = excerpt(result.body)
    return f"{result.status_line}: {said}" if said else result.status_line


_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def checksum(last_applied_spec: str, tracked_configs: Mapping[str, str] | None) -> str:
    """Return the checksum of a revision and its configuration, bit for bit as upstream computes it.

    It is the 32-bit FNV-1a hash of a Go value's printed form, its decimal digits spelt in other letters.
    """
    configs = "<nil>"
    if tracked_configs is not None:
        entries = " ".join(f"{key}:{tracked_configs[key]}" for key in sorted(tracked_configs))
        configs = f"map[{entries}]"
    text = (
        "(struct { TrackedConfigs *map[string]string; LastAppliedSpec string })"
        f"{{TrackedConfigs:(*map[string]string){configs} LastAppliedSpec:(string){last_applied_spec}}}"
    )
    digest = 0x811C9DC5
    for byte in text.encode():
        digest = (digest ^ byte) * 0x01000193 % 2**32
    return "".join(_ALPHABET[ord(digit) % len(_ALPHABET)] for digit in str(digest))
