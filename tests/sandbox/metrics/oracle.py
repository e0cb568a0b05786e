"""A real Prometheus to compare with: started on a free port, fed by remote write, asked over HTTP."""

import http.client
import json
import re
import shutil
import struct
import subprocess
import tempfile
import time
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
"""Prometheus' own staleness marker."""

START = 30.0  # seconds

Feed = Mapping[tuple[tuple[str, str], ...], Sequence[tuple[int, float]]]
"""Samples (ms, value) of each label set."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the HTTP API."""

    status: int
    body: dict[str, Any]


class Prometheus:
    """A running server."""

    def __init__(self, host: str, port: int) -> None:
        self.url = f"http://{host}:{port}"
        self._connection = http.client.HTTPConnection(host, port, timeout=20)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def get(self, path: str, **params: Any) -> Reply:
        """GET a path of the API."""
        self._connection.request("GET", f"{path}?{urllib.parse.urlencode(params, doseq=True)}")
        response = self._connection.getresponse()
        return Reply(response.status, json.loads(response.read()))

    def write(self, feed: Feed) -> None:
        """Store samples; they must be newer than what the series have."""
        headers = {
            "Content-Encoding": "snappy",
            "Content-Type": "application/x-protobuf",
            "X-Prometheus-Remote-Write-Version": "0.1.0",
        }
        self._connection.request("POST", "/api/v1/write", _snappy(_write_request(feed)), headers)
        response = self._connection.getresponse()
        text = response.read()
        assert response.status == 204, text


def require() -> None:
    """Skip unless a Prometheus 2 is on PATH."""
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.skip("no `prometheus` on PATH; fix: apt-get install prometheus")
    done = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False)
    if "version 2." not in done.stdout + done.stderr:
        pytest.skip(
            "`prometheus` is not version 2, whose ranges include their left end; fix: put 2.x on PATH"
        )


@contextmanager
def running() -> Iterator[Prometheus]:
    """Run a Prometheus that accepts remote writes; it ends with the block."""
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory, "prometheus.yml")
        config.write_text("global: {}\n")
        command = [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={directory}/data",
            "--web.listen-address=127.0.0.1:0",
            "--web.enable-remote-write-receiver",
        ]
        log = Path(directory, "log")
        with log.open("wb") as output, subprocess.Popen(command, stderr=output) as process:
            try:
                server = Prometheus("127.0.0.1", _listening(log, process))
                try:
                    yield server
                finally:
                    server.close()
            finally:
                process.terminate()


def _listening(log: Path, process: subprocess.Popen[bytes]) -> int:
    """The port, once the log says that it is ready; its lines come in either order."""
    deadline = time.monotonic() + START
    while time.monotonic() < deadline and process.poll() is None:
        text = log.read_text()
        match = re.search(r'msg="Listening on" address=127\.0\.0\.1:(\d+)', text)
        if match and "Server is ready" in text:
            return int(match[1])
        time.sleep(0.01)
    raise AssertionError(f"Prometheus did not start:\n{log.read_text()}")


def _write_request(feed: Feed) -> bytes:
    """The protobuf message prometheus.WriteRequest."""
    message = bytearray()
    for labels, samples in feed.items():
        series = bytearray()
        for name, value in labels:
            series += _field(1, _field(1, name.encode()) + _field(2, value.encode()))
        for ms, value in samples:
            series += _field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + _varint(ms))
        message += _field(1, bytes(series))
    return bytes(message)


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _snappy(data: bytes) -> bytes:
    """The block format with literals only: valid, if not compressed."""
    out = bytearray(_varint(len(data)))
    for start in range(0, len(data), 65536):
        chunk = data[start : start + 65536]
        out += bytes([61 << 2]) + struct.pack("<H", len(chunk) - 1) + chunk
    return bytes(out)
