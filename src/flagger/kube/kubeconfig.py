"""Finding and reading kubeconfig files, and the service account of a pod, into a Connection.

Order: the file asked for, $KUBECONFIG (several files are merged), ~/.kube/config, the pod's service account.
"""

import base64
import binascii
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from flagger.kube.auth import (
    Certificate,
    Credential,
    Credentials,
    Files,
    Static,
    basic,
    bearer,
    read_secret_file,
    token_file,
)
from flagger.kube.connection import Connection
from flagger.kube.errors import ConfigError
from flagger.kube.exec_plugin import GROUP, ExecPlugin, ExecSpec
from flagger.kube.oidc import Oidc
from flagger.kube.proxy import proxy_for

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class Cluster(msgspec.Struct, frozen=True, rename="kebab"):
    """`clusters[].cluster`."""

    server: str = ""
    certificate_authority: str | None = None
    certificate_authority_data: str | None = None
    insecure_skip_tls_verify: bool = False
    tls_server_name: str | None = None
    proxy_url: str | None = None
    extensions: tuple[dict[str, Any], ...] | None = None


class Provider(msgspec.Struct, frozen=True):
    """`users[].user.auth-provider`."""

    name: str
    config: dict[str, str] | None = None


class User(msgspec.Struct, frozen=True, rename="kebab"):
    """`users[].user`."""

    token: str | None = None
    token_file: str | None = msgspec.field(name="tokenFile", default=None)
    username: str | None = None
    password: str | None = None
    client_certificate: str | None = None
    client_certificate_data: str | None = None
    client_key: str | None = None
    client_key_data: str | None = None
    exec: ExecSpec | None = None
    auth_provider: Provider | None = None
    as_user: str | None = msgspec.field(name="as", default=None)
    as_groups: tuple[str, ...] | None = None
    as_uid: str | None = None


class Context(msgspec.Struct, frozen=True):
    """`contexts[].context`."""

    cluster: str = ""
    user: str = ""
    namespace: str | None = None


Entry = TypeVar("Entry", Cluster, User, Context)


@dataclass(frozen=True, slots=True)
class Config:
    """Merged files. Every entry remembers its file: relative paths start there."""

    entries: Mapping[tuple[str, str], tuple[Any, Path]] = field(default_factory=dict)
    current_context: str = ""

    def find(self, section: str, name: str, shape: type[Entry]) -> tuple[Entry, Path]:
        """The named entry of `clusters`, `users` or `contexts`, and its file.

        Raises:
            ConfigError: there is none, or a field has the wrong type.
        """
        if (section, name) not in self.entries:
            raise ConfigError(
                f"kubeconfig: {section} has no entry {name!r}; there are: {self.names(section) or 'none'}"
            )
        value, path = self.entries[section, name]
        try:
            return msgspec.convert(value, shape, strict=False), path
        except msgspec.ValidationError as error:
            raise ConfigError(f"{path}: {section} {name!r}: {error}") from error

    def names(self, section: str) -> str:
        """The names in a section, for messages."""
        return ", ".join(name for kind, name in self.entries if kind == section)


def load_connection(
    kubeconfig: Path | None = None,
    *,
    context: str | None = None,
    server: str | None = None,
    environ: Mapping[str, str] = os.environ,
    service_account: Path = SERVICE_ACCOUNT,
) -> Connection:
    """Find out how to reach the API server.

    `context` is one other than the file's current one; `server` replaces the address found, and is enough alone.

    Raises:
        ConfigError: nothing was found (says what was looked for), or what was found cannot be used.
        AuthError: a credential file named in it cannot be read.
    """
    paths = [kubeconfig] if kubeconfig else candidates(environ)
    config = merge([path for path in paths if path.is_file() or kubeconfig])
    if config.entries:
        connection = connect(config, context, environ)
    elif environ.get("KUBERNETES_SERVICE_HOST") and (service_account / "token").is_file() and not kubeconfig:
        connection = in_cluster(environ, service_account)
    elif server and not kubeconfig:
        connection = Connection(server)
    else:
        raise ConfigError(nothing_found(paths, service_account))
    return replace(connection, server=server.rstrip("/")) if server else connection


def candidates(environ: Mapping[str, str]) -> list[Path]:
    """The files to merge: those of $KUBECONFIG, or the one in the home directory."""
    listed = [Path(part).expanduser() for part in environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    return listed or [Path(environ.get("HOME", "~")).expanduser() / ".kube" / "config"]


def nothing_found(paths: Sequence[Path], service_account: Path) -> str:
    """What was looked for, in order, and the way out."""
    looked = [*(str(path) for path in paths), f"the service account of a pod ({service_account})"]
    return (
        f"no kubeconfig with a cluster found; looked for: {', then '.join(looked)}. "
        "Name one with --kubeconfig or $KUBECONFIG; "
        "`flagger sandbox up` starts a cluster on this machine and writes one."
    )


def merge(paths: Sequence[Path]) -> Config:
    """Read files in order; the first to name an entry, or the current context, wins.

    Raises:
        ConfigError: a file cannot be read or is no kubeconfig.
    """
    entries: dict[tuple[str, str], tuple[Any, Path]] = {}
    current = ""
    for path in paths:
        document = read(path)
        current = current or document.get("current-context") or ""
        for section, key in (("clusters", "cluster"), ("users", "user"), ("contexts", "context")):
            for entry in document.get(section) or ():
                entries.setdefault((section, str(entry.get("name", ""))), (entry.get(key) or {}, path))
    return Config(entries, str(current))


def read(path: Path) -> dict[str, Any]:
    """One file as a dict; an empty file is an empty configuration."""
    try:
        document = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}
    except OSError as error:
        raise ConfigError(f"kubeconfig {path}: {error.strerror or error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise ConfigError(f"kubeconfig {path} is not valid YAML{where}") from error
    lists = all(
        isinstance(entry, dict)
        for section in ("clusters", "users", "contexts")
        for entry in (isinstance(document, dict) and document.get(section)) or ()
    )
    if not isinstance(document, dict) or not lists:
        raise ConfigError(
            f"kubeconfig {path}: not a kubeconfig (clusters, users and contexts must be lists of objects)"
        )
    return document


def connect(config: Config, context_name: str | None, environ: Mapping[str, str]) -> Connection:
    """The connection of a context, by default the current one."""
    chosen = context_name or config.current_context
    if not chosen:
        known = config.names("contexts") or "none"
        raise ConfigError(
            f"kubeconfig: no current-context is set; name one with --context (there are: {known})"
        )
    context, origin = config.find("contexts", chosen, Context)
    cluster, cluster_file = config.find("clusters", context.cluster, Cluster)
    user, user_file = config.find("users", context.user, User) if context.user else (User(), origin)
    if not cluster.server.startswith(("http://", "https://")):
        raise ConfigError(
            f"{cluster_file}: cluster {context.cluster!r}: server must be an http:// or https:// address"
        )
    ca = content(cluster.certificate_authority_data, cluster.certificate_authority, cluster_file, "CA bundle")
    return Connection(
        server=cluster.server.rstrip("/"),
        credentials=credentials(user, user_file, cluster, ca),
        namespace=context.namespace or "default",
        ca=ca,
        verify=not cluster.insecure_skip_tls_verify,
        server_name=cluster.tls_server_name,
        proxy=proxy_for(cluster.server, cluster.proxy_url, environ),
        impersonate=impersonation(user),
        source=f"context {chosen!r} of {origin}",
    )


def content(data: str | None, file: str | None, origin: Path, what: str) -> bytes | None:
    """PEM from base64 data or, failing that, from a file relative to its kubeconfig; None without either."""
    if data:
        try:
            return base64.b64decode("".join(data.split()), validate=True)
        except binascii.Error as error:
            raise ConfigError(f"{origin}: {what}: not base64") from error
    return read_secret_file(origin.parent / file, what) if file else None


def credentials(user: User, origin: Path, cluster: Cluster, ca: bytes | None) -> Credentials:
    """The user's way to log in. Precedence as in client-go: plugins only where nothing fixed is given."""
    fixed_token = user.token or user.token_file
    if user.exec and not fixed_token:
        info = cluster_info(cluster, ca) if user.exec.provide_cluster_info else None
        return ExecPlugin(user.exec, origin.parent, info)
    if user.auth_provider and not fixed_token:
        return provider(user.auth_provider, origin)
    if user.token_file and not user.client_certificate and not user.client_certificate_data:
        return token_file(origin.parent / user.token_file)

    def read_all() -> Credential:
        cert = content(user.client_certificate_data, user.client_certificate, origin, "client certificate")
        key = content(user.client_key_data, user.client_key, origin, "client key")
        if bool(cert) != bool(key):
            raise ConfigError(f"{origin}: a client certificate needs its key, and the other way round")
        authorization = bearer(user.token) if user.token else ""
        if user.token_file:
            authorization = bearer(
                read_secret_file(origin.parent / user.token_file, "token file").decode().strip()
            )
        elif user.username and not user.token:
            authorization = basic(user.username, user.password or "")
        return Credential(authorization, Certificate(cert, key) if cert and key else None)

    rotates = user.client_certificate or user.client_key or user.token_file
    return Files(read_all) if rotates else Static(read_all())


def provider(chosen: Provider, origin: Path) -> Credentials:
    """The one auth-provider that still exists; the cloud vendors' have become exec plugins."""
    if chosen.name != "oidc":
        raise ConfigError(
            f"{origin}: auth-provider {chosen.name!r} is not supported; use its exec plugin instead"
        )
    config = chosen.config or {}
    ca = content(
        config.get("idp-certificate-authority-data"),
        config.get("idp-certificate-authority"),
        origin,
        "OIDC CA bundle",
    )
    return Oidc(config, ca)


def cluster_info(cluster: Cluster, ca: bytes | None) -> dict[str, Any]:
    """`spec.cluster` of KUBERNETES_EXEC_INFO."""
    info = {
        "server": cluster.server,
        "tls-server-name": cluster.tls_server_name,
        "insecure-skip-tls-verify": cluster.insecure_skip_tls_verify or None,
        "certificate-authority-data": base64.b64encode(ca).decode() if ca else None,
        "proxy-url": cluster.proxy_url,
        "config": next(
            (e.get("extension") for e in cluster.extensions or () if e.get("name") == f"{GROUP}/exec"), None
        ),
    }
    return {key: value for key, value in info.items() if value is not None}


def impersonation(user: User) -> tuple[tuple[str, str], ...]:
    """Headers that make the server treat us as somebody else; one per group."""
    if not user.as_user:
        return ()
    uid = [("Impersonate-Uid", user.as_uid)] if user.as_uid else []
    return (
        ("Impersonate-User", user.as_user),
        *uid,
        *(("Impersonate-Group", group) for group in user.as_groups or ()),
    )


def in_cluster(environ: Mapping[str, str], service_account: Path) -> Connection:
    """The connection of a pod: its service account's token (rotated by the kubelet) and CA."""
    host, port = environ["KUBERNETES_SERVICE_HOST"], environ.get("KUBERNETES_SERVICE_PORT", "443")
    namespace = service_account / "namespace"
    return Connection(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        credentials=token_file(service_account / "token"),
        namespace=namespace.read_text().strip() if namespace.is_file() else "default",
        ca=read_secret_file(service_account / "ca.crt", "CA bundle"),
        source="the pod's service account",
    )
