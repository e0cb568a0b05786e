"""The data plane in trouble: ports that cannot be had, an Envoy that dies, rules that Envoy refuses."""

import asyncio
import os
import signal
import socket
import ssl
import stat
import sys
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from flagger.kube.objects import SECRET, Object
from flagger.sandbox.dataplane.envoy import find_binary
from flagger.sandbox.dataplane.kinds import GATEWAY, HTTP_ROUTE, PORTS_ANNOTATION
from tests.sandbox.dataplane.objects import a_gateway, a_listener, a_route, meta
from tests.sandbox.dataplane.world import DEADLINE, World, a_world, parents, reasons

pytestmark = pytest.mark.sandbox


async def test_low_ports_move_where_they_cannot_be_bound(tmp_path: Path) -> None:
    """Without the right to bind port 80 it is served at 18080, and the Gateway says so."""
    async with a_world(tmp_path, low_ports=False) as world:
        apex = await world.release()
        address = await world.gateway(a_gateway())
        await world.route(a_route())

        assert await world.get(f"http://{apex}:18080/") == "primary-1 /"
        assert await world.get(f"http://{address}:18080/") == "primary-1 /"
        assert await world.get("http://checkout.shop/", proxy=world.plane.proxy) == "primary-1 /"
        gateway = await world.client.get(GATEWAY, "edge", "shop")
        assert gateway["metadata"]["annotations"][PORTS_ANNOTATION] == '{"80": 18080}'


async def test_leaves_nothing_behind(tmp_path: Path) -> None:
    """When the data plane is cancelled its Envoy is gone too, and while it runs nobody else can read its secret."""
    async with a_world(tmp_path) as world:
        pid = envoy_pid(world)
        assert permissions(world.folder / "run" / "envoy" / "bootstrap.json") == "-rw-------"
        for path in ("config_dump", "config_dump?resource=bootstrap", "server_info", "quitquitquit"):
            assert await world.get(f"http://{world.plane.admin_address}/{path}") == "403"

    assert not is_running(pid)


def permissions(path: Path) -> str:
    return stat.filemode(path.stat().st_mode)


async def test_an_envoy_that_dies_is_replaced(world: World) -> None:
    """A new Envoy serves what the old one did, and later changes too."""
    await world.release()
    address = await world.gateway(a_gateway())
    await world.route(a_route())
    await world.answers(f"http://{address}/", "primary-1")

    os.kill(envoy_pid(world), signal.SIGKILL)

    await world.answers(f"http://{address}/", "primary-1")
    await world.client.delete(HTTP_ROUTE, "checkout", "shop")
    await world.answers(f"http://{address}/", "404")


def envoy_pid(world: World) -> int:
    """The Envoy among this process's children."""
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    (pid,) = [child for child in children if str(world.folder) in Path(f"/proc/{child}/cmdline").read_text()]
    return int(pid)


async def test_a_taken_port_harms_one_listener_only(world: World) -> None:
    """A Gateway whose port somebody else has is not programmed, says why, and is once the port is free."""
    await world.release()
    address = await world.gateway(a_gateway())
    await world.route(a_route())
    with socket.socket() as squatter:
        squatter.bind((address, 8080))
        squatter.listen()
        listeners = [a_listener(), a_listener("second", 8080)]
        await world.client.patch(GATEWAY, "edge", "shop", {"spec": {"listeners": listeners}})

        def is_told(obj: Object) -> bool:
            return "Address already in use" in str(obj["status"]["conditions"])

        await world.until(GATEWAY, a_gateway(), is_told)
        await world.answers(f"http://{address}/", "primary-1")

    await world.programmed(a_gateway())
    await world.answers(f"http://{address}:8080/", "primary-1")


async def test_a_route_with_a_bad_expression_harms_no_other(world: World) -> None:
    """It is not accepted, and names the field; other routes go on changing."""
    await world.release()
    address = await world.gateway(a_gateway())
    bad = {"path": {"type": "RegularExpression", "value": "/(?=x)"}}
    told = await world.route(a_route("bad", {"matches": [bad], "backendRefs": []}))

    assert reasons(parents(told)[0])["Accepted"] == "UnsupportedValue"
    assert "spec.rules[0].matches.path" in str(told["status"])
    await world.route(a_route())
    assert await world.get(f"http://{address}/") == "primary-1 /"


async def test_serves_many_services(world: World) -> None:
    """More than a user usually has inotify instances (128), by far."""
    await world.pod("web-1", "web")
    names = [f"web-{number}" for number in range(150)]
    addresses = [await world.service(name, app="web") for name in names]

    await world.answers(f"http://{addresses[-1]}/", "web-1")
    assert await world.get(f"http://{addresses[0]}/") == "web-1 /"
    assert await world.get(f"http://{names[70]}.shop/", proxy=world.plane.proxy) == "web-1 /"


async def test_terminates_tls(world: World) -> None:
    """An HTTPS listener serves the certificate of its Secret, once that is there."""
    await world.release()
    tls = {"certificateRefs": [{"name": "edge-tls"}]}
    gateway = a_gateway("edge", a_listener("https", 8443, "HTTPS", hostname="a.test", tls=tls))
    await world.client.create(GATEWAY, gateway)
    waiting = await world.until(
        GATEWAY, gateway, lambda obj: bool((obj.get("status") or {}).get("listeners"))
    )
    assert reasons(waiting["status"]["listeners"][0])["ResolvedRefs"] == "InvalidCertificateRef"

    chain, key = a_certificate("a.test")
    data = {"tls.crt": b64encode(chain).decode(), "tls.key": b64encode(key).decode()}
    await world.client.create(
        SECRET, {"metadata": meta("edge-tls"), "type": "kubernetes.io/tls", "data": data}
    )
    address = (await world.programmed(gateway))["status"]["addresses"][0]["value"]
    await world.route(a_route())

    trust = ssl.create_default_context(cadata=chain.decode())
    url, headers = f"https://{address}:8443/", {"Host": "a.test"}
    async with asyncio.timeout(DEADLINE):
        async with world.http.get(url, ssl=trust, headers=headers, server_hostname="a.test") as answer:
            assert await answer.text() == "primary-1 /"
    with pytest.raises(aiohttp.ClientConnectionError):
        await world.get(url, ssl=trust, server_hostname="b.test")


def a_certificate(name: str) -> tuple[bytes, bytes]:
    """A self-signed certificate for a name, and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(hours=1))
        .not_valid_after(datetime.now(UTC) + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), private


ORPHAN = """
import os, subprocess, sys, time
from flagger.sandbox.dataplane.envoy import prepared
child = subprocess.Popen([sys.argv[1], "--config-yaml", "{}"], preexec_fn=prepared(os.getpid()),
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(child.pid, flush=True)
time.sleep(60)
"""


async def test_envoy_does_not_outlive_us() -> None:
    """Even if we are killed, no Envoy is left behind."""
    command = [sys.executable, "-c", ORPHAN, str(find_binary())]
    parent = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    parent.kill()
    await parent.wait()

    async with asyncio.timeout(DEADLINE):
        while is_running(child):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # whoever adopted it may take its time to notice
