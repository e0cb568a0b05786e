"""Real control-plane binaries in the API server's place: etcd, kube-apiserver, kube-controller-manager.

They come from the folder in $KUBEBUILDER_ASSETS, laid out as by controller-runtime's `setup-envtest`; the
controller manager is used where it is there.
"""

from __future__ import annotations

import ctypes
import http.client
import os
import re
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

TOKEN = "admin-token"
READY_WITHIN = 60.0  # seconds
STOP_WITHIN = 10.0  # seconds
# Those that need nodes, a cloud or a kubelet would only complain.
CONTROLLERS = "*,-nodeipam,-nodelifecycle,-cloud-node-lifecycle,-ttl,-bootstrapsigner,-tokencleaner"
_PR_SET_PDEATHSIG = 1
_TAIL = 15  # lines of a log that are shown


class ControlPlaneError(Exception):
    """The binaries are missing or did not start; the text says which, and what to do."""


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """A running control plane; `kubeconfig` logs in as an administrator, `version` is (major, minor).

    `controllers` says whether a controller manager runs.
    """

    kubeconfig: Path
    version: tuple[int, int]
    controllers: bool


def find_binaries() -> Path:
    """The folder with the binaries.

    Raises:
        ControlPlaneError: none is named, or some are missing in it.
    """
    named = os.environ.get("KUBEBUILDER_ASSETS")
    if not named:
        raise ControlPlaneError("no kube-apiserver: set KUBEBUILDER_ASSETS (see `setup-envtest use -p env`)")
    missing = [name for name in ("etcd", "kube-apiserver") if not Path(named, name).is_file()]
    if missing:
        raise ControlPlaneError(f"KUBEBUILDER_ASSETS={named} lacks {', '.join(missing)}")
    return Path(named)


@contextmanager
def control_plane(
    folder: Path, *, service_cidr: str = "10.96.0.0/16", controllers: bool = False
) -> Iterator[ControlPlane]:
    """Run a control plane with its state in `folder`; everything ends with the block.

    Raises:
        ControlPlaneError: it can't be started.
    """
    programs = find_binaries()
    version = _version(programs / "kube-apiserver")
    port, etcd_port, peer_port = _free_ports(3)
    folder.mkdir(parents=True, exist_ok=True)
    _write_secrets(folder)
    with ExitStack() as stack:
        etcd = f"http://127.0.0.1:{etcd_port}"
        stack.enter_context(_program(programs / "etcd", _etcd_flags(folder, etcd, peer_port), folder))
        flags = _server_flags(folder, etcd, port, version) | {"service-cluster-ip-range": service_cidr}
        server = stack.enter_context(_program(programs / "kube-apiserver", flags, folder))
        _wait_ready(port, server, folder / "kube-apiserver.log")
        kubeconfig = _write_kubeconfig(folder, port)
        manager = programs / "kube-controller-manager"
        managed = controllers and manager.is_file()
        if managed:
            stack.enter_context(_program(manager, _manager_flags(folder, kubeconfig, version), folder))
        yield ControlPlane(kubeconfig, version, managed)


def _etcd_flags(folder: Path, address: str, peer_port: int) -> dict[str, object]:
    peer = f"http://127.0.0.1:{peer_port}"
    return {
        "data-dir": folder / "etcd",
        "listen-client-urls": address,
        "advertise-client-urls": address,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"default={peer}",
        "unsafe-no-fsync": "true",
    }


def _server_flags(folder: Path, etcd: str, port: int, version: tuple[int, int]) -> dict[str, object]:
    """The flags of kube-apiserver, for versions from 1.20 on."""
    return {
        "etcd-servers": etcd,
        "secure-port": port,
        "bind-address": "127.0.0.1",
        "advertise-address": "127.0.0.1",
        "cert-dir": folder,
        "token-auth-file": folder / "tokens.csv",
        "authorization-mode": "RBAC",
        "service-account-key-file": folder / "sa.key",
        "service-account-signing-key-file": folder / "sa.key",
        "service-account-issuer": "https://kubernetes.default.svc",
        # Without the controller that makes service accounts, no pod could be created.
        "disable-admission-plugins": "ServiceAccount",
        **({"insecure-port": 0} if version < (1, 24) else {}),
    }


def _manager_flags(folder: Path, kubeconfig: Path, version: tuple[int, int]) -> dict[str, object]:
    return {
        "kubeconfig": kubeconfig,
        "controllers": CONTROLLERS,
        "leader-elect": "false",
        "service-account-private-key-file": folder / "sa.key",
        "secure-port": "0",
        **({"port": "0"} if version < (1, 24) else {}),
    }


@contextmanager
def _program(path: Path, flags: Mapping[str, object], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program with its output in `folder`, until the end of the block, of its thread at the latest."""
    arguments = [f"--{name}={value}" for name, value in flags.items()]
    libc = ctypes.CDLL(None)
    with (folder / f"{path.name}.log").open("wb") as log:
        process = subprocess.Popen(
            [path, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            start_new_session=True,
            preexec_fn=lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),  # noqa: PLW1509 - one system call
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(STOP_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_ready(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the API server answers /readyz with 200."""
    context = ssl._create_unverified_context()  # noqa: SLF001 - its certificate is made only now
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline and server.poll() is None:
        link = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=5)
        try:
            link.request("GET", "/readyz", headers={"Authorization": f"Bearer {TOKEN}"})
            if link.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)
        finally:
            link.close()
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-_TAIL:])
    raise ControlPlaneError(
        f"kube-apiserver was not ready within {READY_WITHIN:.0f} s (code {server.poll()}):\n{tail}"
    )


def _write_secrets(folder: Path) -> None:
    """The key of service account tokens, and the administrator's token."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL
    (folder / "sa.key").write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))
    (folder / "tokens.csv").write_text(f"{TOKEN},admin,admin,system:masters\n")


def _write_kubeconfig(folder: Path, port: int) -> Path:
    """A kubeconfig that trusts the certificate which the server made for itself."""
    path = folder / "kubeconfig"
    cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(folder / "apiserver.crt")}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "envtest", "cluster": cluster}],
        "users": [{"name": "admin", "user": {"token": TOKEN}}],
        "contexts": [{"name": "envtest", "context": {"cluster": "envtest", "user": "admin"}}],
        "current-context": "envtest",
    }
    path.write_text(yaml.safe_dump(document))
    return path


def _version(program: Path) -> tuple[int, int]:
    text = subprocess.run(
        [program, "--version"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    found = re.search(r"v(\d+)\.(\d+)", text)
    if found is None:
        raise ControlPlaneError(f"{program} --version says {text!r}")
    return int(found[1]), int(found[2])


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on just now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]
