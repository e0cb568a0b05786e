"""Content types of requests and answers, and the endpoints that are no resources."""

import pytest
import yaml

from tests.conformance.kubernetes_api.objects import config_map, widget
from tests.conformance.kubernetes_api.servers import Api

PROTOBUF = "application/vnd.kubernetes.protobuf"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


async def test_version(api: Api) -> None:
    """/version needs no login."""
    body = (await api.as_user("").get("/version")).ok()

    assert {"major", "minor", "gitVersion"} <= set(body)
    assert (await api.get("/version/")).ok() == body


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
async def test_health(api: Api, path: str) -> None:
    """The health endpoints answer ok in plain text, to anybody."""
    reply = await api.as_user("").get(path)

    assert (reply.status, reply.body) == (200, "ok")
    verbose = await api.get(path, params={"verbose": ""})
    assert "[+]ping ok" in verbose.body
    assert verbose.body.rstrip().endswith("check passed")


async def test_unknown_paths(api: Api) -> None:
    """An unknown version or resource of a known group is a Status, an unknown group plain text."""
    for path in (
        "/apis/apps/v7",
        "/apis/apps/v7/deployments",
        "/api/v1/frobnications",
        "/apis/apps/v1/x/y/z",
    ):
        body = (await api.get(path)).failed(404, "NotFound")
        assert body["message"] == "the server could not find the requested resource"
    assert (await api.get("/apis/nope.example.com/v1/things")).status == 404
    assert "paths" in (await api.get("/nope")).failed(404)


async def test_scopes(api: Api) -> None:
    """A cluster-scoped resource below a namespace is 404."""
    assert (await api.get(api.path("nodes"))).status == 404


@pytest.mark.parametrize("path", ["/api", "/apis", "/api/v1", "/apis/apps/v1", "/api/v1/namespaces"])
async def test_trailing_slashes(api: Api, path: str) -> None:
    """A trailing slash changes nothing."""
    assert (await api.get(f"{path}/")).ok()["kind"] == (await api.get(path)).ok()["kind"]


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/json;stream=watch", "application/json"),
        (f"{TABLE},application/json", "application/json"),
        ("application/yaml", "application/yaml"),
        ("text/html,application/json", "application/json"),
    ],
)
async def test_what_is_accepted(api: Api, accept: str, kind: str) -> None:
    """The first media type of the list that the server has is taken."""
    await api.create("configmaps", config_map())

    reply = await api.get(api.path("configmaps", "settings"), headers={"Accept": accept})

    assert reply.status == 200
    assert reply.headers["Content-Type"].partition(";")[0] == kind


@pytest.mark.parametrize(
    "accept", ["text/html", "application/cbor", "application/json;as=Table;v=v9;g=meta.k8s.io"]
)
async def test_what_is_not_acceptable(api: Api, accept: str) -> None:
    """Without any form the server has, the answer is 406."""
    if accept == "application/cbor" and api.server.name == "envtest" and api.server.since(32):
        pytest.skip("newer servers know CBOR")
    await api.create("configmaps", config_map())

    (await api.get(api.path("configmaps", "settings"), headers={"Accept": accept})).failed(
        406, "NotAcceptable"
    )


@pytest.mark.parametrize(
    "accept", [f"{PROTOBUF},application/json", f"{PROTOBUF}, */*", f"{PROTOBUF};stream=watch,*/*"]
)
async def test_protobuf_falls_back_to_json(api: Api, widgets: str, accept: str) -> None:
    """Custom resources have no protobuf: clients that prefer it get JSON."""
    await api.create("widgets", widget(widgets.removesuffix("/v1")), group=widgets)

    reply = await api.get(api.path("widgets", "one", group=widgets), headers={"Accept": accept})

    assert reply.ok()["kind"] == "Widget"


async def test_protobuf_alone_is_not_acceptable(api: Api, widgets: str) -> None:
    """Nothing but protobuf cannot be served for a custom resource."""
    reply = await api.get(api.path("widgets", group=widgets), headers={"Accept": PROTOBUF})

    assert reply.status == 406


async def test_the_embedded_server_answers_in_json(api: Api) -> None:
    """Built-in kinds too come as JSON from the embedded server, whatever is preferred."""
    if api.server.name != "embedded":
        pytest.skip("a real server answers in protobuf")

    reply = await api.get(api.path("configmaps"), headers={"Accept": f"{PROTOBUF},application/json"})

    assert reply.ok()["kind"] == "ConfigMapList"


async def test_yaml(api: Api) -> None:
    """Objects can be sent and read as YAML; unquoted words are those of YAML 1.1, dates are text."""
    text = "metadata:\n  name: settings\n  annotations: {since: 2026-01-02}\nimmutable: y\ndata: {a: 'yes'}\n"
    headers = {"Content-Type": "application/yaml"}

    made = (await api.post(api.path("configmaps"), text.encode(), headers=headers)).ok()
    assert (made["data"], made["immutable"]) == ({"a": "yes"}, True)
    reply = await api.get(api.path("configmaps", "settings"), headers={"Accept": "application/yaml"})
    assert yaml.safe_load(reply.body)["metadata"]["annotations"] == {"since": "2026-01-02"}


async def test_body_types(api: Api) -> None:
    """text/plain is 415, no type at all means JSON, parameters do not matter."""
    body = b'{"metadata":{"name":"x"}}'
    headers = {"Content-Type": "text/plain"}
    (await api.post(api.path("configmaps"), body, headers=headers)).failed(415, "UnsupportedMediaType")
    assert (await api.post(api.path("configmaps"), body, headers={"Content-Type": ""})).status == 201
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert (await api.post(api.path("secrets"), body, headers=headers)).status == 201


async def test_garbage_as_protobuf(api: Api) -> None:
    """A body that is no protobuf is 400."""
    reply = await api.post(api.path("configmaps"), b"garbage", headers={"Content-Type": PROTOBUF})

    assert "expected prefix [107 56 115 0]" in reply.failed(400, "BadRequest")["message"]


async def test_pretty(api: Api) -> None:
    """People get indented JSON."""
    for options in ({"params": {"pretty": "true"}}, {"headers": {"User-Agent": "curl/8.0"}}):
        url, headers = api.server.url + "/api/v1/namespaces/default", {"Authorization": f"Bearer {api.token}"}
        params, extra = options.get("params"), options.get("headers", {})
        async with api.session.get(url, params=params, headers=headers | extra) as response:
            assert "\n  " in await response.text()


async def test_metadata_only(api: Api) -> None:
    """PartialObjectMetadata is nothing but metadata, for objects and for lists."""
    await api.create("configmaps", config_map(labels={"p": "q"}))
    one = {"Accept": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"}
    many = {"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}

    body = (await api.get(api.path("configmaps", "settings"), headers=one)).ok()
    assert set(body) == {"kind", "apiVersion", "metadata"}
    assert (body["kind"], body["apiVersion"]) == ("PartialObjectMetadata", "meta.k8s.io/v1")
    body = (await api.get(api.path("configmaps"), headers=many, params={"labelSelector": "p"})).ok()
    assert body["kind"] == "PartialObjectMetadataList"
    assert set(body["items"][0]) == {"kind", "apiVersion", "metadata"}
    (await api.get(api.path("configmaps", "settings"), headers=many)).failed(406, "NotAcceptable")


async def test_tables_of_one_object(api: Api) -> None:
    """A Table of a single object has one row."""
    await api.create("configmaps", config_map())

    body = (await api.get(api.path("configmaps", "settings"), headers={"Accept": TABLE})).ok()

    assert (body["kind"], body["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert body["columnDefinitions"][0]["name"] == "Name"
    [row] = body["rows"]
    assert row["cells"][0] == "settings"
    assert row["object"]["kind"] == "PartialObjectMetadata"


@pytest.mark.parametrize(
    ("include", "kind"), [("Object", "ConfigMap"), ("Metadata", "PartialObjectMetadata"), ("None", "")]
)
async def test_what_a_row_carries(api: Api, include: str, kind: str) -> None:
    """`includeObject` decides whether rows hold the object, its metadata, or nothing."""
    await api.create("configmaps", config_map())

    params = {"includeObject": include, "fieldSelector": "metadata.name=settings"}
    body = (await api.get(api.path("configmaps"), headers={"Accept": TABLE}, params=params)).ok()

    assert (body["rows"][0].get("object") or {}).get("kind", "") == kind


async def test_include_object_is_checked(api: Api) -> None:
    """Another value of includeObject is 400."""
    params = {"includeObject": "Everything"}

    (await api.get(api.path("configmaps"), headers={"Accept": TABLE}, params=params)).failed(400)
