"""The External Metrics API of Kubernetes, as HorizontalPodAutoscalers use it, or an adapter at an address.

https://github.com/kubernetes/metrics, group external.metrics.k8s.io.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Self
from urllib.parse import parse_qsl, quote, unquote

import msgspec

from flagger.api.metric_template import MetricProvider as ProviderSpec
from flagger.api.quantities import parse_quantity
from flagger.kube.errors import Forbidden, KubeError, NotFound, Unauthorized
from flagger.metrics.backend import Backend, UnusableError, decode
from flagger.metrics.base import ProviderError, Reading, Tools
from flagger.metrics.selectors import canonical

GROUP = "/apis/external.metrics.k8s.io/v1beta1"
WITHIN = 5.0  # seconds
LATE = f"no complete answer within {WITHIN:g}s"
JSON = [("Accept", "application/json")]


class ExternalMetrics:
    """Asks the cluster's own API with the operator's account, or an address with the Secret's token alone."""

    def __init__(self, backend: Backend, tools: Tools, *, direct: bool) -> None:
        self._backend, self._client, self._direct = backend, tools.client, direct

    @classmethod
    def from_spec(cls, spec: ProviderSpec, credentials: Mapping[str, str], tools: Tools) -> Self:
        """Read a MetricTemplate's provider. The operator's own credentials never go to `address`."""
        token = credentials.get("token", "") if spec.secret_ref else ""
        headers = [*JSON, *([("Authorization", f"Bearer {token}")] if token else [])]
        own = tools.client.connection
        backend = Backend.of(
            "the External Metrics API", spec, credentials, tools, default=own.server, headers=headers
        )
        if not spec.address and not spec.insecure_skip_verify:
            backend = replace(backend, verify=own.tls(None))
        return cls(backend, tools, direct=bool(spec.address or token))

    async def check(self) -> ProviderError | None:
        """See that somebody serves the API group."""
        if self._direct:
            return await self._backend.check(self._backend.get(GROUP))
        try:
            await self._own(GROUP, {}, "")
        except NotFound as error:
            return self._backend.error(f"no adapter serves {GROUP}: {error}", "")
        except (Forbidden, Unauthorized):
            return None  # the group's own page needs another right than its metrics
        except KubeError as error:
            return self._backend.error(str(error), "")
        except TimeoutError:
            return self._backend.error(LATE, "")
        return None

    async def query(self, text: str, *, window: timedelta) -> Reading:
        """Ask for the current value of `[namespace/]metric[?labelSelector=…]`."""
        query = text.strip()
        try:
            path, params = _path(query)
        except UnusableError as error:
            return self._backend.error(str(error), query)
        if self._direct:
            return await self._backend.read(self._backend.get(path, list(params.items())), query, _first)
        try:
            return self._backend.picked(await self._own(path, params, query), query, _first)
        except KubeError as error:
            return self._backend.error(str(error), query)
        except TimeoutError:
            return self._backend.error(LATE, query)

    async def _own(self, path: str, params: Mapping[str, str], query: str) -> bytes:
        async with asyncio.timeout(WITHIN):
            return await self._client.raw("GET", path, params=params, headers=dict(JSON))


def _path(query: str) -> tuple[str, dict[str, str]]:
    """Return path and parameters for a query."""
    if any(not sign.isprintable() for sign in query):
        raise UnusableError("the query holds a line break or another control character")
    where, _, rest = query.partition("#")[0].partition("?")
    parts = unquote(where.removeprefix("/")).split("/")
    namespace, name = parts if len(parts) == 2 else ("", parts[0])
    if len(parts) > 2 or not name or "%" in name:
        raise UnusableError("the query is not [namespace/]metric[?labelSelector=…]")
    given = next((value for key, value in parse_qsl(rest) if key == "labelSelector"), "")
    try:
        selector = canonical(given)
    except ValueError as error:
        raise UnusableError(str(error)) from error
    # Adapters know names in lower case, as the API's own clients ask for them.
    path = f"{GROUP}/namespaces/{quote(namespace or 'default', safe='')}/{quote(name.lower(), safe='')}"
    return path, {**({"labelSelector": selector} if selector else {}), "timeout": f"{WITHIN:g}s"}


class _Item(msgspec.Struct):
    value: str | float


class _List(msgspec.Struct):
    items: list[_Item] | None = None


def _first(body: bytes) -> float | None:
    """Return the value of the first item, a quantity such as `1500m`."""
    items = decode(body, _List).items
    return parse_quantity(str(items[0].value)) if items else None
