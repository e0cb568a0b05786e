"""What a running Envoy says of itself over its admin port."""

import aiohttp
import msgspec

LISTENERS_DUMP = "/config_dump?resource=dynamic_listeners"
TIMEOUT = aiohttp.ClientTimeout(total=2)


class AdminUnreachableError(Exception):
    """Envoy does not answer: it is starting, stopping or gone."""


class Admin:
    """A client for the admin port at `address` (`host:port`)."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self.address = address
        self._session = session

    async def listener_errors(self) -> dict[str, str]:
        """Why listeners were refused, by their names.

        Raises:
            AdminUnreachableError: Envoy does not answer.
        """
        dump = msgspec.json.decode(await self._get(LISTENERS_DUMP))
        return {
            listener["name"]: listener["error_state"].get("details", "")
            for listener in dump.get("configs") or []
            if listener.get("name") and listener.get("error_state")
        }

    async def is_ready(self) -> bool:
        """Has Envoy started, with all it was given first?"""
        try:
            return await self._get("/ready") == "LIVE\n"
        except AdminUnreachableError:
            return False

    async def _get(self, path: str) -> str:
        try:
            async with self._session.get(f"http://{self.address}{path}", timeout=TIMEOUT) as answer:
                return await answer.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise AdminUnreachableError(f"Envoy's admin port {self.address} does not answer") from error
