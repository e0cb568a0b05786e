"""`podcli check`, which manifests written for podinfo call in their probes."""

import http.client
import socket
import sys
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

TIMEOUT = 5.0  # seconds


def check(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """`check http ADDRESS` or `check tcp HOST:PORT`; 0 when it answers well, 1 when not, 2 for anything else.

    `localhost` is the pod: its own address, as pods share the machine's.
    """
    if list(arguments[:1]) != ["check"] or len(arguments) < 3 or arguments[1] not in {"http", "tcp", "grpc"}:
        sys.stderr.write("usage: podcli check http|tcp ADDRESS\n")
        return 2
    how, address = arguments[1], arguments[2]
    target = urlsplit(address if "://" in address else f"//{address}")
    host = target.hostname or "localhost"
    if host in {"localhost", "127.0.0.1"}:
        host = environ.get("POD_IP", host)
    try:
        status = (
            get(host, target.port or 80, target.path or "/")
            if how == "http"
            else connect(host, target.port or 80)
        )
    except (OSError, http.client.HTTPException, ValueError) as error:
        sys.stdout.write(f"{address}: {error}\n")
        return 1
    sys.stdout.write(f"{address}: {status}\n")
    return 0 if status < 400 else 1


def get(host: str, port: int, path: str) -> int:
    """The status of a GET."""
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def connect(host: str, port: int) -> int:
    """200 when a TCP connection can be made."""
    with socket.create_connection((host, port), timeout=TIMEOUT):
        return 200
