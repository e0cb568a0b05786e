"""Clients of Amazon's services, by the extra `aws`; credentials come from the SDK's own chain."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

RETRIES = 3
MISSING = "aiobotocore is not installed: install flagger[aws]"


class AwsError(Exception):
    """A service could not be asked, or answered with an error, whose `code` it has then."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.code = code


class Aws:
    """One region. The session with credentials and descriptions is kept, clients live for one request."""

    def __init__(self, region: str, endpoint: str, sessions: dict[str, Any]) -> None:
        """`endpoint` is a URL in place of the service's own; `sessions` is where the session is kept."""
        self._region, self._endpoint, self._sessions = region, endpoint or None, sessions

    @asynccontextmanager
    async def client(self, service: str) -> AsyncIterator[Any]:
        """A client of a service; what its requests raise comes out as AwsError."""
        try:
            # In a thread: these are many modules, and large files behind them.
            sdk = await asyncio.to_thread(import_module, "aiobotocore.session")
        except ImportError as error:
            raise AwsError(MISSING) from error
        errors, config = import_module("botocore.exceptions"), import_module("aiobotocore.config")
        session = self._sessions.get("aws") or self._sessions.setdefault("aws", sdk.get_session())
        settings = config.AioConfig(retries={"max_attempts": RETRIES})
        try:
            async with session.create_client(
                service, region_name=self._region, endpoint_url=self._endpoint, config=settings
            ) as client:
                yield client
        except errors.ClientError as error:
            told: Mapping[str, str] = error.response.get("Error", {})
            code = told.get("Code", "")
            raise AwsError(f"error requesting {service}: {code}: {told.get('Message', '')}", code) from error
        except (errors.BotoCoreError, errors.HTTPClientError, ValueError) as error:
            raise AwsError(f"error requesting {service}: {error}") from error
