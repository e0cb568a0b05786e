"""Logging in, over real TLS and with real plugin processes, in a process that outlives its credentials."""

import asyncio
import base64
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web

from flagger.kube.auth import Certificate, Credential, Static, bearer, token_file
from flagger.kube.client import Client
from flagger.kube.connection import Connection
from flagger.kube.errors import AuthError, Unauthorized, Unreachable
from flagger.kube.exec_plugin import EnvVar, ExecPlugin, ExecSpec
from flagger.kube.objects import CONFIG_MAP
from flagger.kube.oidc import Oidc, expiry_of
from tests.kube.certificates import Authority
from tests.kube.tiny_api import TinyApi, client_of, refuse, running

V1, V1BETA1 = "client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"


def accept(api: TinyApi, *tokens: str) -> list[str]:
    """Let the server take these tokens only; returns the list, which may be changed later."""
    valid = list(tokens)

    async def unauthorized() -> web.Response:
        return refuse(401, "Unauthorized", "Unauthorized")

    def check(request: web.Request) -> object:
        return None if request.headers.get("Authorization", "")[7:] in valid else unauthorized()

    api.faults.append(check)
    return valid


async def ask(client: Client) -> None:
    """Any request that succeeds once we are logged in."""
    await client.list(CONFIG_MAP)


# Tokens in files


async def test_rotated_token_is_picked_up_after_a_refusal(tmp_path: Path) -> None:
    """A 401 has the token file read again at once, without an error for the caller."""
    path = tmp_path / "token"
    path.write_text("one\n")
    async with running(TinyApi()) as api, client_of(api, credentials=token_file(path)) as client:
        valid = accept(api, "one")
        await ask(client)
        valid[:] = ["two"]
        path.write_text("two\n")
        await ask(client)
        assert [seen.headers["Authorization"] for seen in api.seen] == [
            "Bearer one",
            "Bearer one",
            "Bearer two",
        ]


async def test_rotated_token_is_picked_up_within_a_minute(tmp_path: Path) -> None:
    """Without a refusal the file is read again after 60 s; an unreadable file in between does no harm."""
    path, now = tmp_path / "token", [0.0]
    path.write_text("one")
    source = replace(token_file(path), clock=lambda: now[0])
    seen = []
    for moment, text in ((0, "two"), (59, "two"), (60, "three"), (121, ""), (182, "four"), (243, "five")):
        now[0] = float(moment)
        seen.append((await source.current()).authorization)
        path.write_text(text)
    assert seen == ["Bearer one", "Bearer one", "Bearer two", "Bearer three", "Bearer three", "Bearer four"]


async def test_refused_token_is_an_error() -> None:
    """A token that stays wrong is Unauthorized after one request: nothing would change."""
    async with running(TinyApi()) as api:
        accept(api, "right")
        credentials = Static(Credential(bearer("wrong")))
        async with client_of(api, credentials=credentials) as client:
            with pytest.raises(Unauthorized, match="list ConfigMap: Unauthorized"):
                await ask(client)
        assert len(api.seen) == 1


# Programs


PROGRAM = """
import json, os, pathlib, sys
folder = pathlib.Path(sys.argv[1])
runs = folder / "runs"
number = len(runs.read_text()) + 1 if runs.exists() else 1
runs.write_text("x" * number)
(folder / "info").write_text(os.environ["KUBERNETES_EXEC_INFO"])
(folder / "env").write_text(os.environ.get("OWN", ""))
answer = (folder / "answer").read_text().replace("NUMBER", str(number))
if answer.startswith("fail"):
    print("first line", file=sys.stderr)
    sys.exit("s3cret-free reason")
print(answer)
"""


class Plugin:
    """A real program that answers what a test wants."""

    def __init__(self, folder: Path, version: str = V1) -> None:
        self.folder, self.version = folder, version
        (folder / "plugin.py").write_text(PROGRAM)
        self.answer({"token": "t-NUMBER"})

    def answer(self, status: object, **changes: object) -> None:
        credential = {"apiVersion": self.version, "kind": "ExecCredential", "status": status} | changes
        (self.folder / "answer").write_text(json.dumps(credential))

    def spec(self, **changes: object) -> ExecSpec:
        arguments = (str(self.folder / "plugin.py"), str(self.folder))
        return ExecSpec(
            **{"command": sys.executable, "api_version": self.version, "args": arguments} | changes
        )

    @property
    def runs(self) -> int:
        return len((self.folder / "runs").read_text())


@pytest.mark.parametrize("version", [V1, V1BETA1])
async def test_plugin_is_run_once_for_many_requests(tmp_path: Path, version: str) -> None:
    """Fifty requests at once run the program once; it gets the documented environment and no terminal."""
    plugin = Plugin(tmp_path, version)
    spec = plugin.spec(env=(EnvVar("OWN", "value"),))
    credentials = ExecPlugin(spec, tmp_path, cluster={"server": "https://x", "config": {"a": 1}})
    async with running(TinyApi()) as api, client_of(api, credentials=credentials) as client:
        accept(api, "t-1")
        await asyncio.gather(*(ask(client) for _ in range(50)))
    assert plugin.runs == 1
    assert (tmp_path / "env").read_text() == "value"
    assert json.loads((tmp_path / "info").read_text()) == {
        "apiVersion": version,
        "kind": "ExecCredential",
        "spec": {"interactive": False, "cluster": {"server": "https://x", "config": {"a": 1}}},
    }


async def test_plugin_is_run_again_on_expiry_and_on_refusal(tmp_path: Path) -> None:
    """A credential is used until its expirationTimestamp, and not after a 401."""
    plugin, now = Plugin(tmp_path), [datetime(2030, 1, 1, tzinfo=UTC)]
    plugin.answer({"token": "t-NUMBER", "expirationTimestamp": "2030-01-01T00:10:00Z"})
    credentials = ExecPlugin(plugin.spec(), tmp_path, now=lambda: now[0])
    async with running(TinyApi()) as api, client_of(api, credentials=credentials) as client:
        valid = accept(api, "t-1")
        await ask(client)
        now[0] += timedelta(minutes=9, seconds=59)
        await ask(client)
        assert plugin.runs == 1
        plugin.answer({"token": "t-NUMBER", "expirationTimestamp": "2030-01-01T01:00:00Z"})
        now[0] += timedelta(seconds=1)
        valid[:] = ["t-2"]
        await ask(client)
        assert plugin.runs == 2
        valid[:] = ["t-3"]
        await asyncio.gather(*(ask(client) for _ in range(20)))
        assert plugin.runs == 3


async def test_plugin_relative_to_the_kubeconfig(tmp_path: Path) -> None:
    """A command with a slash is looked for beside the kubeconfig."""
    Plugin(tmp_path)
    script = tmp_path / "bin"
    script.write_text(f"#!/bin/sh\nexec {sys.executable} {tmp_path}/plugin.py {tmp_path}\n")
    script.chmod(0o755)
    found = await ExecPlugin(ExecSpec("./bin", V1), tmp_path).current()
    assert found.authorization == "Bearer t-1"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("fail", r"failed with code 1: s3cret-free reason"),
        ("no json: s3cret", r"printed no ExecCredential$"),
        ('{"apiVersion": "v2", "kind": "ExecCredential", "status": {"token": "s3cret"}}', r"of client.*/v1$"),
        (json.dumps({"apiVersion": V1, "kind": "ExecCredential"}), r"printed no ExecCredential of"),
        (
            json.dumps({"apiVersion": V1, "kind": "ExecCredential", "status": {}}),
            r"neither a token nor a cert",
        ),
        (
            json.dumps(
                {"apiVersion": V1, "kind": "ExecCredential", "status": {"expirationTimestamp": "soon"}}
            ),
            r"printed no ExecCredential$",
        ),
    ],
)
async def test_plugin_failures_are_named_without_secrets(tmp_path: Path, answer: str, message: str) -> None:
    """A plugin that fails, or prints something else, is an error with its last words but never its output."""
    plugin = Plugin(tmp_path)
    (tmp_path / "answer").write_text(answer)
    credentials = ExecPlugin(plugin.spec(), tmp_path)
    async with Client(Connection("http://127.0.0.1:9", credentials)) as client:
        with pytest.raises(AuthError, match=message) as caught:
            await ask(client)
    assert "first line" not in str(caught.value)
    assert "no json" not in str(caught.value)


async def test_missing_plugin_says_how_to_install_it(tmp_path: Path) -> None:
    """A program that is not there: its name, and the kubeconfig's own hint."""
    spec = ExecSpec("no-such-program", V1, install_hint="Get it from example.com.\n")
    with pytest.raises(
        AuthError, match=r"no-such-program: No such file or directory; Get it from example.com\.$"
    ):
        await ExecPlugin(spec, tmp_path).current()


async def test_cancelled_plugin_is_ended(tmp_path: Path) -> None:
    """When nobody waits for the plugin any more, its process goes too."""
    script = tmp_path / "slow"
    script.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 1000\n")
    script.chmod(0o755)
    task = asyncio.create_task(ExecPlugin(ExecSpec("./slow", V1), tmp_path).current())
    pid = tmp_path / "pid"
    async with asyncio.timeout(10):
        while not (pid.exists() and pid.read_text()):  # noqa: ASYNC110 -- a file has no event
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


# Certificates


CA, CLIENTS = Authority(), Authority("clients")


@asynccontextmanager
async def tls_server(host: str = "127.0.0.1", *, clients: Authority | None = None) -> AsyncIterator[TinyApi]:
    """The server with a certificate for `host`."""
    async with running(TinyApi(), ssl=CA.server(host, clients=clients)) as api:
        yield api


async def test_tls_with_a_ca_of_its_own() -> None:
    """The CA of the kubeconfig is the one that counts."""
    async with tls_server() as api, client_of(api, ca=CA.pem) as client:
        await ask(client)


@pytest.mark.looptime
@pytest.mark.parametrize("ca", [None, CLIENTS.pem], ids=["system", "another"])
async def test_untrusted_server(ca: bytes | None) -> None:
    """A server that the CA did not sign is not talked to, and the error says why."""
    async with tls_server() as api, client_of(api, ca=ca) as client:
        with pytest.raises(Unreachable, match=r"its certificate is not trusted: .*certificate verify failed"):
            await ask(client)
        assert api.seen == []


async def test_tls_without_verification() -> None:
    """`insecure-skip-tls-verify` takes any certificate."""
    async with tls_server("elsewhere.example.com") as api, client_of(api, verify=False) as client:
        await ask(client)


async def test_tls_server_name() -> None:
    """The certificate is checked against `tls-server-name` when the address is another."""
    name = "api.example.com"
    async with tls_server(name) as api, client_of(api, ca=CA.pem, server_name=name) as client:
        await ask(client)


async def test_client_certificate() -> None:
    """A server that wants a certificate gets ours."""
    credentials = Static(Credential(certificate=CLIENTS.issue("me")))
    async with (
        tls_server(clients=CLIENTS) as api,
        client_of(api, ca=CA.pem, credentials=credentials) as client,
    ):
        await ask(client)


async def test_client_certificate_from_a_plugin_is_renewed(tmp_path: Path) -> None:
    """A plugin's new certificate is used for new connections, without a new client."""
    plugin, now = Plugin(tmp_path), [datetime(2030, 1, 1, tzinfo=UTC)]

    def issue(certificate: Certificate, minutes: int) -> None:
        plugin.answer(
            {
                "clientCertificateData": certificate.cert.decode(),
                "clientKeyData": certificate.key.decode(),
                "expirationTimestamp": (now[0] + timedelta(minutes=minutes)).isoformat(),
            }
        )

    issue(Authority("unknown").issue("me"), 10)
    credentials = ExecPlugin(plugin.spec(), tmp_path, now=lambda: now[0])
    async with (
        tls_server(clients=CLIENTS) as api,
        client_of(api, ca=CA.pem, credentials=credentials) as client,
    ):
        with pytest.raises(Unreachable):
            await ask(client)
        issue(CLIENTS.issue("me"), 20)
        now[0] += timedelta(minutes=10)
        await ask(client)


# OpenID Connect


def a_token(expires: datetime, name: str = "x") -> str:
    """An unsigned JSON web token."""
    parts = ({"alg": "none"}, {"exp": expires.timestamp(), "sub": name})
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "sig"])


NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


class Issuer:
    """An OpenID Connect issuer; `tokens` are what it will give out."""

    def __init__(self, api: TinyApi, *tokens: str) -> None:
        self.api, self.tokens = api, list(tokens)
        self.forms: list[dict[str, str]] = []
        api.faults.append(self.answer)

    async def answer(self, request: web.Request) -> web.Response:
        if request.path.endswith("openid-configuration"):
            return web.json_response({"token_endpoint": f"{self.api.url}/token"})
        self.forms.append(dict(await request.post()))
        if not self.tokens:
            return web.json_response({"error": "invalid_grant"}, status=400)
        return web.json_response({"id_token": self.tokens.pop(0), "refresh_token": f"r{len(self.forms) + 1}"})


async def test_id_token_is_renewed_when_it_expires() -> None:
    """An id-token serves until it expires; then the refresh token buys the next, and rotates."""
    first, second, third = (a_token(NOON + timedelta(hours=hours)) for hours in (1, 2, 3))
    now = [NOON]
    async with running(TinyApi()) as api:
        issuer = Issuer(api, second, third)
        config = {"idp-issuer-url": api.url, "client-id": "cli", "id-token": first, "refresh-token": "r1"}
        oidc = Oidc(config, now=lambda: now[0])
        assert (await oidc.current()).authorization == f"Bearer {first}"
        now[0] += timedelta(hours=1)
        answers = await asyncio.gather(*(oidc.current() for _ in range(10)))
        assert {answer.authorization for answer in answers} == {f"Bearer {second}"}
        assert oidc.expire(answers[0])
        assert (await oidc.current()).authorization == f"Bearer {third}"
    assert [form["refresh_token"] for form in issuer.forms] == ["r1", "r2"]
    assert issuer.forms[0]["client_id"] == "cli"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "there is no refresh-token; log in again"),
        ({"refresh-token": "s3cret"}, "answered 400; log in again"),
    ],
)
async def test_id_token_that_cannot_be_renewed(config: dict[str, str], message: str) -> None:
    """Without a way to a new token the error says to log in again, and no secret."""
    async with running(TinyApi()) as api:
        Issuer(api)
        oidc = Oidc({"idp-issuer-url": api.url, "id-token": a_token(NOON)} | config, now=lambda: NOON)
        with pytest.raises(AuthError, match=message) as caught:
            await oidc.current()
        assert "s3cret" not in str(caught.value)


async def test_issuer_that_is_away() -> None:
    """An issuer that does not answer is named."""
    oidc = Oidc({"idp-issuer-url": "http://127.0.0.1:9", "refresh-token": "r"}, now=lambda: NOON)
    with pytest.raises(AuthError, match=r"OIDC issuer http://127\.0\.0\.1:9: no new id-token"):
        await oidc.current()


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "a.e30.c"])
def test_unreadable_tokens_count_as_expired(token: str) -> None:
    """A token whose expiry cannot be read is renewed."""
    assert expiry_of(token).year == 1


# Proxies


async def test_requests_go_through_the_proxy() -> None:
    """With `proxy-url` an https server is reached through CONNECT, with the proxy's credentials."""
    heads: list[bytes] = []

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        host, port = heads[-1].split()[1].decode().split(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
        except ConnectionError:
            heads.append(b"cut")
        target.close()

    proxy = await asyncio.start_server(tunnel, "127.0.0.1", 0)
    port = proxy.sockets[0].getsockname()[1]
    url = f"http://user:pass@127.0.0.1:{port}"
    async with proxy, tls_server() as api, client_of(api, ca=CA.pem, proxy=url) as client:
        await ask(client)
    assert heads[0].startswith(f"CONNECT {api.url[8:]} ".encode())
    assert base64.b64encode(b"user:pass") in heads[0]
