"""Probes: one question to a container, and the counting that turns answers into a verdict."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from flagger.kube.objects import Object

EAGER = 0.02  # seconds before the second attempt of a probe without initial delay, until its first success
GROWTH = 1.25  # of that pause, from attempt to attempt
HEAD = 65536  # bytes of an answer that are looked at

Attempt = Callable[[float], Awaitable[str]]  # time limit in seconds → why it failed, "" for success


@dataclass(frozen=True, slots=True)
class Rule:
    """How often a probe asks and how many answers count; times in seconds."""

    initial_delay: float
    period: float
    timeout: float
    successes: int
    failures: int
    grace: int | None = None
    """How long a container that failed it may take to end, if not what the pod says."""

    @classmethod
    def of(cls, probe: Object) -> "Rule":
        """The rule of a probe, with the defaults of the API for what is missing."""
        return cls(
            initial_delay=probe.get("initialDelaySeconds", 0),
            period=probe.get("periodSeconds", 10),
            timeout=probe.get("timeoutSeconds", 1),
            successes=probe.get("successThreshold", 1),
            failures=probe.get("failureThreshold", 3),
            grace=probe.get("terminationGracePeriodSeconds"),
        )


async def watch(rule: Rule, attempt: Attempt, tell: Callable[[bool, str], None], *, eager: bool) -> None:
    """Ask for ever; `tell(verdict, why)` hears of every verdict, not of every answer.

    `eager` probes are repeated quickly inside a period until they succeed for the first time: a new pod is
    ready when it is ready, not up to a period later.
    """
    await asyncio.sleep(rule.initial_delay)
    good = bad = 0
    eager = eager and not rule.initial_delay
    while True:
        why = await (eagerly(rule, attempt) if eager else attempt(rule.timeout))
        if why:
            good, bad = 0, bad + 1
            if bad >= rule.failures:
                tell(False, why)
        else:
            good, bad, eager = good + 1, 0, False
            if good >= rule.successes:
                tell(True, "")
        if not eager:
            await asyncio.sleep(rule.period)


async def eagerly(rule: Rule, attempt: Attempt) -> str:
    """Ask again and again for one period, less and less often; "" on the first success."""
    clock = asyncio.get_running_loop().time
    until = clock() + rule.period
    pause = EAGER
    while True:
        why = await attempt(rule.timeout)
        if not why:
            return ""
        left = until - clock()
        await asyncio.sleep(max(0.0, min(pause, left)))
        if left <= pause:
            return why
        pause *= GROWTH


async def http_get(url_host: str, port: int, action: Object, limit: float) -> str:
    """GET as core/v1 HTTPGetAction says; any status from 200 to 399 is a success."""
    host = action.get("host") or url_host
    tls = insecure_tls() if action.get("scheme", "HTTP").upper() == "HTTPS" else None
    headers = {
        "Host": f"{host}:{port}",
        "User-Agent": "kube-probe/1.32",
        "Accept": "*/*",
        "Connection": "close",
    }
    headers |= {header["name"]: header.get("value", "") for header in action.get("httpHeaders") or ()}
    try:
        async with asyncio.timeout(limit):
            status = await status_of(host, port, tls, request(action.get("path") or "/", headers))
    except TimeoutError:
        return f'Get "http://{host}:{port}{action.get("path") or "/"}": no answer within {limit:g} s'
    except (OSError, ValueError) as error:
        return f'Get "http://{host}:{port}{action.get("path") or "/"}": {error}'
    return "" if 200 <= status < 400 else f"HTTP probe failed with statuscode: {status}"


def request(path: str, headers: Mapping[str, str]) -> bytes:
    """A GET request."""
    lines = [f"GET {path if path.startswith('/') else '/' + path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


async def status_of(host: str, port: int, tls: ssl.SSLContext | None, head: bytes) -> int:
    """Send a request and read the status line of the answer.

    Raises:
        OSError: the connection failed.
        ValueError: the answer is not HTTP.
    """
    reader, writer = await asyncio.open_connection(host, port, ssl=tls, limit=HEAD)
    try:
        writer.write(head)
        line = await reader.readline()
    finally:
        writer.transport.abort()
    version, _, rest = line.partition(b" ")
    if not version.startswith(b"HTTP/") or not rest[:3].isdigit():
        raise ValueError("malformed HTTP response")
    return int(rest[:3])


def insecure_tls() -> ssl.SSLContext:
    """TLS as probes use it: the certificate is not looked at."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def tcp_connect(host: str, port: int, limit: float) -> str:
    """Open a connection and close it."""
    try:
        async with asyncio.timeout(limit):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return f"dial tcp {host}:{port}: i/o timeout"
    except OSError as error:
        return f"dial tcp {host}:{port}: {error}"
    writer.transport.abort()
    return ""


def port_number(port: int | str, container: Object) -> int:
    """A port by number or by the name that the container gives it.

    Raises:
        ValueError: there is no port of that name.
    """
    if isinstance(port, int) or str(port).isdigit():
        return int(port)
    for known in container.get("ports") or ():
        if known.get("name") == port:
            return int(known["containerPort"])
    raise ValueError(f"couldn't find port: {port}")
