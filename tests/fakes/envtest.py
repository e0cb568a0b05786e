"""A real control plane: etcd, kube-apiserver and, if asked, kube-controller-manager, on free loopback ports.

The programs come from the folder in $KUBEBUILDER_ASSETS, laid out as by controller-runtime's `setup-envtest`.
Use the fixture `control_plane` (no controllers), or `start_control_plane` for one of your own.
"""

import http.client
import os
import re
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from flagger.kube.connection import Connection
from flagger.kube.kubeconfig import load_connection

TOKEN = "admin-token"
READY_WITHIN = 60.0  # seconds
# Those that need nodes, a cloud or a kubelet would only complain.
CONTROLLERS = "*,-nodeipam,-nodelifecycle,-cloud-node-lifecycle,-ttl,-bootstrapsigner,-tokencleaner"


@dataclass(frozen=True)
class ControlPlane:
    """A running control plane; `kubeconfig` logs in as an administrator."""

    kubeconfig: Path
    version: tuple[int, int]

    @property
    def connection(self) -> Connection:
        """How a client reaches it."""
        return load_connection(self.kubeconfig)


def assets() -> Path:
    """The folder with the programs; skips the test when there is none."""
    folder = os.environ.get("KUBEBUILDER_ASSETS")
    if not folder:
        pytest.skip("needs a real kube-apiserver: set KUBEBUILDER_ASSETS (see `setup-envtest use -p env`)")
    missing = [name for name in ("etcd", "kube-apiserver") if not Path(folder, name).is_file()]
    if missing:
        pytest.skip(f"KUBEBUILDER_ASSETS={folder} lacks {', '.join(missing)}")
    return Path(folder)


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """One API server for the whole run: tests use namespaces of their own. Nothing runs controllers."""
    with start_control_plane(tmp_path_factory.mktemp("envtest")) as plane:
        yield plane


@contextmanager
def start_control_plane(folder: Path, *, controllers: bool = False) -> Iterator[ControlPlane]:
    """Run a control plane with its state in `folder`; everything ends with the block."""
    programs = assets()
    version = server_version(programs / "kube-apiserver")
    port, etcd_port, peer_port = free_ports(3)
    write_secrets(folder)
    with ExitStack() as stack:
        etcd = f"http://127.0.0.1:{etcd_port}"
        peer = f"http://127.0.0.1:{peer_port}"
        flags = {
            "data-dir": folder / "etcd",
            "listen-client-urls": etcd,
            "advertise-client-urls": etcd,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"default={peer}",
            "unsafe-no-fsync": "true",
        }
        stack.enter_context(program(programs / "etcd", flags, folder))
        server = stack.enter_context(
            program(programs / "kube-apiserver", server_flags(folder, etcd, port, version), folder)
        )
        wait_ready(port, server, folder / "kube-apiserver.log")
        kubeconfig = write_kubeconfig(folder, port)
        if controllers:
            flags = {
                "kubeconfig": kubeconfig,
                "controllers": CONTROLLERS,
                "leader-elect": "false",
                "service-account-private-key-file": folder / "sa.key",
                "secure-port": "0",
                **({"port": "0"} if version < (1, 24) else {}),
            }
            stack.enter_context(program(programs / "kube-controller-manager", flags, folder))
        yield ControlPlane(kubeconfig, version)


def server_flags(folder: Path, etcd: str, port: int, version: tuple[int, int]) -> dict[str, object]:
    """The flags of kube-apiserver, for versions from 1.20 on."""
    return {
        "etcd-servers": etcd,
        "secure-port": port,
        "bind-address": "127.0.0.1",
        "advertise-address": "127.0.0.1",
        "cert-dir": folder,
        "token-auth-file": folder / "tokens.csv",
        "authorization-mode": "RBAC",
        "service-cluster-ip-range": "10.96.0.0/16",
        "service-account-key-file": folder / "sa.key",
        "service-account-signing-key-file": folder / "sa.key",
        "service-account-issuer": "https://kubernetes.default.svc",
        # Without the controller that makes service accounts, no pod could be created.
        "disable-admission-plugins": "ServiceAccount",
        **({"insecure-port": 0} if version < (1, 24) else {}),
    }


@contextmanager
def program(path: Path, flags: Mapping[str, object], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program with its output in `folder`, until the end of the block."""
    arguments = [f"--{name}={value}" for name, value in flags.items()]
    with (folder / f"{path.name}.log").open("wb") as log:
        process = subprocess.Popen(
            [path, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_ready(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the API server answers /readyz with 200."""
    context = ssl._create_unverified_context()
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
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    pytest.fail(f"kube-apiserver was not ready within {READY_WITHIN:.0f} s (code {server.poll()}):\n{tail}")


def write_secrets(folder: Path) -> None:
    """The key of service account tokens, and the administrator's token."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL
    (folder / "sa.key").write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))
    (folder / "tokens.csv").write_text(f"{TOKEN},admin,admin,system:masters\n")


def write_kubeconfig(folder: Path, port: int) -> Path:
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


def server_version(program: Path) -> tuple[int, int]:
    """Major and minor version of a Kubernetes program."""
    text = subprocess.run(
        [program, "--version"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    major, minor = re.search(r"v(\d+)\.(\d+)", text).groups()
    return int(major), int(minor)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on just now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]
