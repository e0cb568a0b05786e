"""What a running Envoy says of itself over its admin port."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
import msgspec

TIMEOUT = aiohttp.ClientTimeout(total=2)
SUBSCRIPTIONS = (
    r"^(cluster_manager\.cds|listener_manager\.lds|http\..*\.rds\..*)\.(version_text|update_rejected)$"
)
WARMING = r"^(cluster_manager\.warming_clusters|listener_manager\.total_listeners_warming)$"


class AdminUnreachableError(Exception):
    """Envoy does not answer: it is starting, stopping or gone."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far Envoy has come with each subscription, by the subscription's name in its statistics."""

    versions: Mapping[str, str]
    rejected: Mapping[str, int]
    warming: int  # clusters and listeners that are not usable yet


class Admin:
    """A client for the admin port at `address` (`host:port`)."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self.address = address
        self._session = session

    async def progress(self) -> Progress:
        """Which versions are applied.

        Raises:
            AdminUnreachableError: Envoy does not answer.
        """
        text = await self._get("/stats", {"filter": f"{SUBSCRIPTIONS}|{WARMING}"})
        values = dict(line.rsplit(": ", 1) for line in text.splitlines() if ": " in line)
        versions = {
            name.removesuffix(".version_text"): value.strip('"')
            for name, value in values.items()
            if name.endswith(".version_text")
        }
        rejected = {
            name.removesuffix(".update_rejected"): int(value)
            for name, value in values.items()
            if name.endswith(".update_rejected")
        }
        warming = sum(int(value) for name, value in values.items() if re.fullmatch(WARMING, name))
        return Progress(versions, rejected, warming)

    async def listener_errors(self) -> dict[str, str]:
        """Why listeners were refused, by their names.

        Raises:
            AdminUnreachableError: Envoy does not answer.
        """
        dump = msgspec.json.decode(await self._get("/config_dump", {"resource": "dynamic_listeners"}))
        return {
            listener["name"]: listener["error_state"].get("details", "")
            for listener in dump.get("configs") or []
            if listener.get("name") and listener.get("error_state")
        }

    async def is_ready(self) -> bool:
        """Has Envoy started, with all it was given first?"""
        try:
            return await self._get("/ready", {}) == "LIVE\n"
        except AdminUnreachableError:
            return False

    async def _get(self, path: str, params: Mapping[str, str]) -> str:
        try:
            async with self._session.get(
                f"http://{self.address}{path}", params=params, timeout=TIMEOUT
            ) as answer:
                return await answer.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise AdminUnreachableError(f"Envoy's admin port {self.address} does not answer") from error
