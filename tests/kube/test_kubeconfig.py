"""Kubeconfig files: where they are looked for, how they are merged, what is made of every field."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from flagger.kube.auth import Anonymous
from flagger.kube.connection import Connection
from flagger.kube.errors import AuthError, ConfigError
from flagger.kube.exec_plugin import ExecPlugin
from flagger.kube.kubeconfig import load_connection
from flagger.kube.oidc import Oidc
from tests.kube.certificates import Authority

CA = Authority()
HOLDER = CA.issue("holder")


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


DATA = {"client-certificate-data": b64(HOLDER.cert), "client-key-data": b64(HOLDER.key)}


def a_config(
    user: Mapping[str, Any] | None = None, cluster: Mapping[str, Any] | None = None, **top: Any
) -> str:
    """A kubeconfig with one context `c`; a test names only what it is about."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [{"name": "k", "cluster": {"server": "https://example.com:6443"} | dict(cluster or {})}],
        "users": [{"name": "u", "user": dict(user or {})}],
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u", "namespace": "shop"}}],
    }
    return yaml.safe_dump(document | top)


def load(folder: Path, text: str, environ: Mapping[str, str] | None = None, **options: Any) -> Connection:
    """What a single file gives."""
    path = folder / "config"
    path.write_text(text)
    return load_connection(path, environ=environ or {}, **options)


def test_every_field_of_a_cluster(tmp_path: Path) -> None:
    """Address with its path, CA, TLS name, proxy and namespace arrive in the connection."""
    cluster = {
        "server": "https://example.com/k8s/c1/",
        "certificate-authority-data": b64(CA.pem),
        "tls-server-name": "inner.example.com",
        "proxy-url": "http://proxy:3128",
        "unknown-field": [1, 2],
    }
    found = load(tmp_path, a_config(cluster=cluster))
    assert (found.server, found.namespace) == ("https://example.com/k8s/c1", "shop")
    assert (found.ca, found.server_name, found.proxy) == (CA.pem, "inner.example.com", "http://proxy:3128")
    assert found.verify


@pytest.mark.parametrize("value", [True, "true"])
def test_insecure_skip_tls_verify(tmp_path: Path, value: object) -> None:
    """Verification can be switched off."""
    assert not load(tmp_path, a_config(cluster={"insecure-skip-tls-verify": value})).verify


@pytest.mark.parametrize(
    ("user", "authorization"),
    [
        pytest.param({"token": "t1"}, "Bearer t1", id="token"),
        pytest.param({"tokenFile": "token.txt"}, "Bearer from-file", id="token file, relative"),
        pytest.param({"token": "t1", "tokenFile": "token.txt"}, "Bearer from-file", id="the file wins"),
        pytest.param({"username": "a", "password": "b"}, "Basic YTpi", id="basic"),
        pytest.param({"token": "t1", "exec": {"command": "x"}}, "Bearer t1", id="a token beats a plugin"),
        pytest.param({}, "", id="nothing"),
    ],
)
async def test_ways_to_log_in(tmp_path: Path, user: dict[str, Any], authorization: str) -> None:
    """Each user entry gives its Authorization header."""
    (tmp_path / "token.txt").write_text("from-file\n")
    credential = await load(tmp_path, a_config(user)).credentials.current()
    assert credential.authorization == authorization


@pytest.mark.parametrize(
    "user",
    [
        DATA,
        {"client-certificate": "tls.crt", "client-key": "tls.key"},
        {"client-certificate": "missing", "client-key": "missing", **DATA},
    ],
    ids=["data", "files", "data beats files"],
)
async def test_client_certificates(tmp_path: Path, user: dict[str, Any]) -> None:
    """Certificate and key come from data or from files beside the kubeconfig."""
    (tmp_path / "tls.crt").write_bytes(HOLDER.cert)
    (tmp_path / "tls.key").write_bytes(HOLDER.key)
    connection = load(tmp_path, a_config(user))
    credential = await connection.credentials.current()
    assert credential.certificate == HOLDER
    connection.tls(credential.certificate)


def test_plugins(tmp_path: Path) -> None:
    """Exec and the oidc auth-provider are recognised."""
    spec = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "get-token",
        "args": None,
        "env": None,
    }
    assert isinstance(load(tmp_path, a_config({"exec": spec})).credentials, ExecPlugin)
    oidc = {"name": "oidc", "config": {"idp-issuer-url": "https://issuer"}}
    assert isinstance(load(tmp_path, a_config({"auth-provider": oidc})).credentials, Oidc)


def test_impersonation(tmp_path: Path) -> None:
    """`as` and `as-groups` become headers, one per group."""
    user = {"as": "eve", "as-uid": "7", "as-groups": ["a", "b"]}
    assert load(tmp_path, a_config(user)).impersonate == (
        ("Impersonate-User", "eve"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Group", "a"),
        ("Impersonate-Group", "b"),
    )


async def test_another_context_and_another_server(tmp_path: Path) -> None:
    """A context other than the current one can be chosen, and the address replaced."""
    contexts = [
        {"name": "c", "context": {"cluster": "gone"}},
        {"name": "other", "context": {"cluster": "k"}},
    ]
    found = load(tmp_path, a_config(contexts=contexts), context="other", server="https://127.0.0.1:1/")
    assert (found.server, found.namespace) == ("https://127.0.0.1:1", "default")
    assert (await found.credentials.current()).authorization == ""


def test_files_are_merged_as_kubectl_does(tmp_path: Path) -> None:
    """$KUBECONFIG lists files: the first to name an entry wins; missing files don't matter."""
    first, second = tmp_path / "one", tmp_path / "two"
    for folder, ca in ((first, b"none"), (second, CA.pem)):
        folder.mkdir()
        (folder / "ca.pem").write_bytes(ca)
    (first / "config").write_text(
        yaml.safe_dump(
            {
                "users": [{"name": "u", "user": {"token": "first"}}],
                "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
                "clusters": None,
            }
        )
    )
    cluster = {"certificate-authority": "ca.pem"}
    (second / "config").write_text(a_config({"token": "second"}, cluster))
    listed = f"{first / 'config'}:{tmp_path / 'missing'}::{second / 'config'}"
    found = load_connection(environ={"KUBECONFIG": listed})
    assert (found.server, found.ca, found.namespace) == ("https://example.com:6443", CA.pem, "default")
    assert found.credentials.credential.authorization == "Bearer first"
    assert found.source == f"context 'c' of {first / 'config'}"


def test_home_directory(tmp_path: Path) -> None:
    """Without $KUBECONFIG the file in the home directory is used."""
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").write_text(a_config())
    assert load_connection(environ={"HOME": str(tmp_path)}).server == "https://example.com:6443"


def test_nothing_found_says_where_it_looked_and_what_to_do(tmp_path: Path) -> None:
    """One clear error: what was looked for, in order, and how to get a cluster."""
    account = tmp_path / "account"
    with pytest.raises(ConfigError) as caught:
        load_connection(environ={"HOME": str(tmp_path)}, service_account=account)
    text = str(caught.value)
    parts = [str(tmp_path / ".kube" / "config"), str(account), "flagger sandbox up"]
    assert sorted(parts, key=text.index) == parts
    with pytest.raises(ConfigError, match="/a, then /b"):
        load_connection(environ={"KUBECONFIG": "/a:/b"}, service_account=account)


def test_file_that_was_asked_for_must_be_there(tmp_path: Path) -> None:
    """A file named explicitly is not silently replaced by another source."""
    with pytest.raises(ConfigError, match="nowhere: No such file"):
        load_connection(tmp_path / "nowhere", environ={"HOME": str(tmp_path)})


def test_server_alone(tmp_path: Path) -> None:
    """An address given by hand needs no kubeconfig."""
    environ = {"HOME": str(tmp_path)}
    assert load_connection(server="http://127.0.0.1:1/", environ=environ).server == "http://127.0.0.1:1"


async def test_pod(tmp_path: Path) -> None:
    """In a pod: the service account's token, CA and namespace, the address from the environment."""
    for name, content in (("token", b"pod-token"), ("ca.crt", CA.pem), ("namespace", b"flagger-system")):
        (tmp_path / name).write_bytes(content)
    environ = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443", "HOME": "/nowhere"}
    found = load_connection(environ=environ, service_account=tmp_path)
    assert (found.server, found.namespace, found.ca) == ("https://10.96.0.1:443", "flagger-system", CA.pem)
    assert (await found.credentials.current()).authorization == "Bearer pod-token"
    environ["KUBERNETES_SERVICE_HOST"] = "fd00::1"
    assert load_connection(environ=environ, service_account=tmp_path).server == "https://[fd00::1]:443"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(": :\n  - [", "is not valid YAML in line", id="no YAML"),
        pytest.param("- 1\n- 2\n", "not a kubeconfig", id="a list"),
        pytest.param("clusters: [1]", "not a kubeconfig", id="odd entries"),
        pytest.param(
            a_config(**{"current-context": ""}), r"no current-context is set.*there are: c", id="none"
        ),
        pytest.param(
            a_config(**{"current-context": "x"}), r"contexts has no entry 'x'; there are: c", id="other"
        ),
        pytest.param(
            a_config(clusters=[]), r"clusters has no entry 'k'; there are: none", id="no such cluster"
        ),
        pytest.param(a_config(users=[]), r"users has no entry 'u'", id="no such user"),
        pytest.param(
            a_config(cluster={"server": "x.com"}), r"cluster 'k': server must be an http", id="scheme"
        ),
        pytest.param(
            a_config(cluster={"server": 7}), r"clusters 'k': Expected `str`.*server", id="wrong type"
        ),
        pytest.param(
            a_config(cluster={"certificate-authority-data": "%"}), r"CA bundle: not base64", id="base64"
        ),
        pytest.param(a_config(cluster={"proxy-url": "socks5://p"}), r"socks5 proxies are not", id="socks"),
        pytest.param(a_config({"client-key-data": b64(b"x")}), r"needs its key", id="half a pair"),
        pytest.param(a_config({"auth-provider": {"name": "gcp"}}), r"'gcp' is not supported", id="gcp"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    """Every mistake in a file is one sentence that says where it is."""
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, text)


@pytest.mark.parametrize(
    ("user", "cluster", "message"),
    [
        ({"tokenFile": "missing"}, {}, r"token file .*missing: No such file"),
        ({}, {"certificate-authority": "missing"}, r"CA bundle .*missing: No such file"),
        (
            {"exec": {"command": "x", "apiVersion": "client.authentication.k8s.io/v1alpha1"}},
            {},
            r"must be one of",
        ),
        (
            {
                "exec": {
                    "command": "x",
                    "apiVersion": "client.authentication.k8s.io/v1",
                    "interactiveMode": "Always",
                }
            },
            {},
            "wants a terminal",
        ),
    ],
)
async def test_unusable_credentials_are_named(
    tmp_path: Path, user: dict[str, Any], cluster: dict[str, Any], message: str
) -> None:
    """Files that are missing and plugins that cannot work are errors of their own."""
    with pytest.raises(AuthError, match=message):
        await load(tmp_path, a_config(user, cluster)).credentials.current()


def test_unusable_certificates_are_named(tmp_path: Path) -> None:
    """A CA bundle that is none is an error that names the kubeconfig."""
    connection = load(tmp_path, a_config(cluster={"certificate-authority-data": b64(b"rubbish")}))
    with pytest.raises(AuthError, match=r"context 'c' of .*config: unusable certificate"):
        connection.tls(None)


def test_secrets_do_not_show_in_a_repr(tmp_path: Path) -> None:
    """Printing a connection shows no token, key or proxy password."""
    connection = load(tmp_path, a_config({"token": "s3cret"}, {"proxy-url": "http://u:s3cret@proxy"}))
    assert "s3cret" not in repr(connection)
    assert "s3cret" not in repr(connection.credentials)
    assert isinstance(Connection("http://x").credentials, Anonymous)


@pytest.mark.parametrize(
    ("server", "environ", "proxy"),
    [
        ("https://example.com", {}, None),
        ("https://example.com", {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ("https://example.com", {"https_proxy": "p:1"}, "http://p:1"),
        ("https://example.com", {"HTTP_PROXY": "http://p:1"}, None),
        ("http://example.com", {"HTTP_PROXY": "http://p:1"}, "http://p:1"),
        ("https://example.com", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "example.com"}, None),
        ("https://api.example.com", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "example.com"}, None),
        ("https://api.example.com", {"HTTPS_PROXY": "http://p:1", "no_proxy": "x, .example.com"}, None),
        ("https://notexample.com", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "example.com"}, "http://p:1"),
        (
            "https://example.com:6443",
            {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "example.com:443"},
            "http://p:1",
        ),
        ("https://example.com:6443", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "example.com:6443"}, None),
        ("https://10.1.2.3", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8"}, None),
        ("https://11.1.2.3", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8,12.0.0.1"}, "http://p:1"),
        ("https://10.1.2.3", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, None),
        ("https://127.0.0.1:6443", {"HTTPS_PROXY": "http://p:1"}, None),
        ("https://localhost:6443", {"HTTPS_PROXY": "http://p:1"}, None),
    ],
)
def test_proxies_of_the_environment(
    tmp_path: Path, server: str, environ: dict[str, str], proxy: str | None
) -> None:
    """The usual variables decide, and NO_PROXY in all its forms."""
    assert load(tmp_path, a_config(cluster={"server": server}), environ).proxy == proxy


def test_proxy_of_the_kubeconfig_wins(tmp_path: Path) -> None:
    """`proxy-url` counts even against NO_PROXY, as with kubectl."""
    environ = {"NO_PROXY": "*", "HTTPS_PROXY": "http://p"}
    found = load(tmp_path, a_config(cluster={"proxy-url": "http://own:1"}), environ)
    assert found.proxy == "http://own:1"
