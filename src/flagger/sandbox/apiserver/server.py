"""The API server as a whole: wiring, start, stop, and the kubeconfig that leads to it."""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import yaml
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from flagger.sandbox.apiserver import tls
from flagger.sandbox.apiserver.addresses import ServiceAddresses
from flagger.sandbox.apiserver.backend import Backend
from flagger.sandbox.apiserver.bootstrap import seed
from flagger.sandbox.apiserver.call import User
from flagger.sandbox.apiserver.custom_resources import Definitions
from flagger.sandbox.apiserver.expiry import keep_expiring
from flagger.sandbox.apiserver.fields import StoredFields
from flagger.sandbox.apiserver.handler import ApiHandler
from flagger.sandbox.apiserver.info import Information
from flagger.sandbox.apiserver.objects import Entry, decode, entry_of
from flagger.sandbox.apiserver.persistence import REVISION_GAP, InMemory, Journal, Row
from flagger.sandbox.apiserver.rbac import Authorizer
from flagger.sandbox.apiserver.store import HISTORY, Store
from flagger.sandbox.apiserver.tokens import Tokens, admin
from flagger.sandbox.apiserver.types.registry import Registry
from flagger.sandbox.apiserver.watch import Hub

SHUTDOWN_SECONDS = 3.0
KEEPALIVE_SECONDS = 300.0
LINE_LIMIT = 64 * 1024
"""Bytes of a request line or header: long label selectors are sent in the URL."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The secrets of one server: its certificate authority, its signing key, the administrator's token."""

    authority: tls.Authority
    signing_key: ec.EllipticCurvePrivateKey
    admin_token: str


def _new_identity() -> Identity:
    return Identity(tls.new_authority(), ec.generate_private_key(ec.SECP256R1()), secrets.token_urlsafe(24))


def _kept_identity(journal: Journal) -> Identity:
    """Return the identity of a data directory, made at the first start."""
    kept = [journal.fact(name) for name in ("authority", "signing-key", "admin-token")]
    if all(kept):
        authority, key, token = (value or b"" for value in kept)
        signing = load_pem_private_key(key, None)
        if isinstance(signing, ec.EllipticCurvePrivateKey):
            return Identity(tls.load(authority), signing, token.decode())
    identity = _new_identity()
    journal.keep_fact("authority", identity.authority.dump())
    journal.keep_fact("signing-key", tls.private_pem(identity.signing_key))
    journal.keep_fact("admin-token", identity.admin_token.encode())
    return identity


class ApiServer:
    """A Kubernetes-compatible API server in this process.

    With `data_dir` its state outlives it. `tokens` are further bearer tokens and who they belong to.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        service_cidr: str = "127.96.0.0/16",
        host: str = "127.0.0.1",
        port: int = 0,
        tokens: Mapping[str, User] | None = None,
        history: int = HISTORY,
    ) -> None:
        self._journal = Journal(data_dir) if data_dir is not None else None
        self._host = host
        self._port = port
        self.identity = _kept_identity(self._journal) if self._journal else _new_identity()
        self.registry = Registry()
        stored_fields = StoredFields(self.registry)
        self.store = Store(stored_fields, history=history)
        self.hub = Hub(self.store)
        self._restore()
        self._definitions = Definitions(self.registry, self.store, self.hub, stored_fields)
        known = {self.identity.admin_token: admin()} | dict(tokens or {})
        self.backend = Backend(
            registry=self.registry,
            store=self.store,
            hub=self.hub,
            addresses=ServiceAddresses(service_cidr, self.store),
            tokens=Tokens(known, self.identity.signing_key, self.store, lambda: datetime.now(UTC)),
            authorizer=Authorizer(self.store),
        )
        self.store.listeners.append(self.hub.announce)
        self._information = Information(
            self.registry, self.store, self.hub, lambda: f"{self._host}:{self._port}"
        )
        self._runner: web.ServerRunner | None = None
        self._expiry: asyncio.Task[None] | None = None

    def _restore(self) -> None:
        if self._journal is None:
            return
        rows = self._journal.load()
        if rows:
            entries = ((row.storage, self._entry(row)) for row in rows)
            self.store.restore(self._journal.revision() + REVISION_GAP, entries)

    def _entry(self, row: Row) -> Entry:
        return entry_of(decode(row.raw or b""), row.revision, self.store.selectable(row.storage))

    async def start(self) -> None:
        """Listen; afterwards `url` is known and every default object exists."""
        if self._journal is not None:
            self.store.listeners.append(self._journal.record)
        handler = ApiHandler(self.backend, self._information, self._journal or InMemory())
        server = web.Server(
            handler,
            handler_cancellation=True,
            access_log=None,
            keepalive_timeout=KEEPALIVE_SECONDS,
            max_line_size=LINE_LIMIT,
            max_field_size=LINE_LIMIT,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=SHUTDOWN_SECONDS)
        await self._runner.setup()
        context = tls.server_context(self.identity.authority, self._host)
        site = web.TCPSite(self._runner, self._host, self._port, ssl_context=context, backlog=1024)
        await site.start()
        self._port = int(self._runner.addresses[0][1])
        self._definitions.restore()
        seed(self.registry, self.store, self.backend.addresses.kubernetes, self._port)
        self._expiry = asyncio.create_task(keep_expiring(self.store), name="event expiry")

    async def stop(self) -> None:
        """End all watches, finish what is under way, and keep what was written."""
        if self._expiry is not None:
            self._expiry.cancel()
            await asyncio.wait([self._expiry])
        self.hub.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if self._journal is not None:
            await self._journal.close()

    async def __aenter__(self) -> ApiServer:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        """Where the server listens."""
        return f"https://{self._host}:{self._port}"

    @property
    def ca_pem(self) -> str:
        """The certificate authority that clients must trust."""
        return self.identity.authority.pem

    @property
    def admin_token(self) -> str:
        """The token of the administrator."""
        return self.identity.admin_token

    def kubeconfig(
        self, token: str | None = None, *, name: str = "flagger-sandbox", namespace: str = "default"
    ) -> str:
        """Return a kubeconfig (YAML) for the administrator, or for the owner of another token."""
        authority = base64.b64encode(self.ca_pem.encode()).decode()
        context = {"cluster": name, "user": name, "namespace": namespace}
        return yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [
                    {"name": name, "cluster": {"server": self.url, "certificate-authority-data": authority}}
                ],
                "users": [{"name": name, "user": {"token": token or self.admin_token}}],
                "contexts": [{"name": name, "context": context}],
                "current-context": name,
            },
            sort_keys=False,
        )
