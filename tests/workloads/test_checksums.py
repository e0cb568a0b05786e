"""Checksums of ConfigMaps and Secrets, and which of them are tracked."""

from __future__ import annotations

from base64 import b64encode

import pytest

from flagger.kube.objects import Object
from flagger.workloads.checksums import (
    checksum_of,
    is_tracked,
    slim_config_map,
    slim_secret,
    tracked_checksum,
)


def encoded(text: str) -> str:
    return b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("data", "checksum"),
    [
        ({"color": "red"}, "241889ca0604e333"),
        (None, "74234e98afe7498f"),
        ({"theme": "dark", "banner": "a<b & c"}, "8086bf3164345b68"),
        ({"b": "1", "a": "line1\nline2"}, "ab200fbde87fb462"),
        ({"k": 'é\u2028\x01\x7f\b\f"\\/'}, "5f92b8adc3bc07b0"),
        ({"apiKey": encoded("test")}, "3930f0692c2295eb"),
        ({"CURRENCY": "EUR", "LOG_FORMAT": "json"}, "0d38a3215d4ea8fd"),
        ({"limits.yaml": "maxItems: 20\n"}, "6dd57d49c971279b"),
        ({"username": encoded("checkout"), "password": encoded("s3cr3t")}, "1143e51b34ae22fa"),
    ],
)
def test_checksums_are_upstreams(data: dict[str, str] | None, checksum: str) -> None:
    """What upstream has written to `status.trackedConfigs` stays valid."""
    assert checksum_of({"data": data}) == checksum


def test_binary_data_counts_where_there_is_some() -> None:
    """A changed binary file is a change; without binary data nothing is different from upstream."""
    text, empty, some = (checksum_of({"data": {"a": "1"}, **more}) for more in ({}, BINARY[0], BINARY[1]))

    assert text == empty != some


BINARY: tuple[Object, ...] = ({"binaryData": {}}, {"binaryData": {"logo": "AAEC"}})


def a_secret(type_: str = "Opaque", **metadata: object) -> Object:
    return {"metadata": {"name": "db", **metadata}, "type": type_, "data": {"password": "czNjcjN0"}}


def owned_by(group: str, kind: str) -> Object:
    owner = {"apiVersion": f"{group}/v1", "kind": kind, "name": "db", "uid": "1"}
    return a_secret(ownerReferences=[owner])


@pytest.mark.parametrize(
    ("obj", "tracked"),
    [
        pytest.param({"metadata": {"name": "env"}}, True, id="ConfigMap"),
        pytest.param(a_secret(), True, id="Secret"),
        pytest.param(a_secret("kubernetes.io/tls"), True, id="certificate"),
        pytest.param(a_secret("kubernetes.io/dockerconfigjson"), False, id="pull secret"),
        pytest.param(a_secret("helm.sh/release.v1"), False, id="Helm"),
        pytest.param(a_secret(annotations={"flagger.app/config-tracking": "disabled"}), False, id="opt-out"),
        pytest.param(a_secret(annotations={"flagger.app/config-tracking": "no"}), True, id="no opt-out"),
        pytest.param(owned_by("external-secrets.io", "ExternalSecret"), False, id="External Secrets"),
        pytest.param(owned_by("bitnami.com", "SealedSecret"), False, id="Sealed Secrets"),
        pytest.param(owned_by("secrets.hashicorp.com", "VaultStaticSecret"), False, id="Vault"),
        pytest.param(owned_by("cert-manager.io", "Certificate"), False, id="cert-manager, owned"),
        pytest.param(
            a_secret(annotations={"cert-manager.io/certificate-name": "db"}), False, id="cert-manager"
        ),
        pytest.param(owned_by("apps", "Deployment"), True, id="some other owner"),
        pytest.param(
            owned_by("bitnami.com", "SealedSecret")
            | {"metadata": {"name": "db", "annotations": {"flagger.app/config-tracking": "enabled"}}},
            True,
            id="asked for",
        ),
    ],
)
def test_what_is_tracked(obj: Object, tracked: bool) -> None:
    """Application data is, unless its owner says otherwise or a manager rotates it."""
    assert is_tracked(obj) is tracked
    slim = slim_secret if "type" in obj else slim_config_map
    assert tracked_checksum(slim(obj)) == tracked_checksum(obj)


def test_caches_keep_little() -> None:
    """No contents of ConfigMaps and of foreign Secrets, and nothing that repeats them."""
    repeated = {"kubectl.kubernetes.io/last-applied-configuration": '{"data":{"password":"czNjcjN0"}}'}
    pull = a_secret("kubernetes.io/dockerconfigjson", annotations=repeated, managedFields=[{}])
    config = {"metadata": {"name": "env"}, "data": {"a": "1"}, "binaryData": {"b": "AA=="}}

    assert slim_secret(pull) == {
        "metadata": {"name": "db", "annotations": {}},
        "type": "kubernetes.io/dockerconfigjson",
    }
    assert "czNjcjN0" not in str(slim_secret(a_secret(annotations=repeated))["metadata"])
    assert slim_secret(a_secret("vendor.example/key"))["data"] == a_secret()["data"]
    assert {"data", "binaryData"}.isdisjoint(slim_config_map(config))
