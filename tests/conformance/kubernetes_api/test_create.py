"""Creating objects: identity, names, namespaces, decoding."""

from typing import Any

import pytest

from tests.conformance.kubernetes_api.objects import config_map, deployment, widget
from tests.conformance.kubernetes_api.servers import Api


async def test_create_sets_the_identity(api: Api) -> None:
    """POST answers 201 with uid, creation time and version of the server's making."""
    reply = await api.post(api.path("configmaps"), config_map(uid="mine", creationTimestamp=None))

    assert reply.status == 201
    metadata = reply.body["metadata"]
    assert metadata["uid"] not in {"", "mine"}
    assert metadata["creationTimestamp"].endswith("Z")
    assert int(metadata["resourceVersion"]) > 0
    assert metadata["namespace"] == api.namespace


async def test_an_existing_name_is_taken(api: Api) -> None:
    """A second POST of a name is 409 AlreadyExists and names the resource."""
    await api.create("deployments", deployment(), group="apps/v1")

    reply = await api.post(api.path("deployments", group="apps/v1"), deployment())

    body = reply.failed(409, "AlreadyExists")
    assert body["details"] == {"name": "checkout", "group": "apps", "kind": "deployments"}
    assert body["message"] == 'deployments.apps "checkout" already exists'


async def test_a_new_object_has_no_version(api: Api) -> None:
    """POST refuses metadata.resourceVersion."""
    reply = await api.post(api.path("configmaps"), config_map(resourceVersion="5"))

    assert reply.status >= 400
    assert "resourceVersion should not be set" in reply.body["message"]


async def test_a_missing_namespace(api: Api) -> None:
    """Creating in a namespace that is not there is 404; listing there is an empty list."""
    path = api.path("configmaps", namespace="nowhere")

    body = (await api.post(path, config_map())).failed(404, "NotFound")
    assert body["details"] == {"name": "nowhere", "kind": "namespaces"}
    assert (await api.get(path)).ok()["items"] == []


async def test_generate_name(api: Api) -> None:
    """`generateName` gives prefix and five characters; with no name at all the object is invalid."""
    made = await api.create("configmaps", {"metadata": {"generateName": "gen-"}})

    assert made["metadata"]["name"].startswith("gen-")
    assert len(made["metadata"]["name"]) == len("gen-") + 5
    assert made["metadata"]["generateName"] == "gen-"
    reply = await api.post(api.path("configmaps"), {"metadata": {}})
    reply.failed(422, "Invalid")
    assert reply.cause_fields()[0] == "metadata.name"


async def test_a_given_name_is_not_generated(api: Api) -> None:
    """A taken name stays taken, whatever generateName says."""
    api.server.needs(30)  # older ones think that a generated name has clashed, and ask to try again
    obj = {"metadata": {"name": "gen-1", "generateName": "gen-"}}
    await api.create("configmaps", obj)

    (await api.post(api.path("configmaps"), obj)).failed(409, "AlreadyExists")


async def test_the_body_must_fit_the_url(api: Api) -> None:
    """Another namespace, name, kind or version in the body than in the URL is 400."""
    await api.create("configmaps", config_map())
    item, collection = api.path("configmaps", "settings"), api.path("configmaps")

    body = (await api.post(collection, config_map(namespace="other"))).failed(400, "BadRequest")
    assert "does not match the namespace" in body["message"]
    body = (await api.put(item, config_map("other"))).failed(400, "BadRequest")
    assert body["message"] == "the name of the object (other) does not match the name on the URL (settings)"
    body = (await api.put(item, {"metadata": {}})).failed(400, "BadRequest")
    assert "name must be provided" in body["message"]
    body = (await api.post(collection, config_map() | {"kind": "Secret"})).failed(400, "BadRequest")
    assert "Secret" in body["message"]
    body = (await api.post(collection, config_map() | {"apiVersion": "v2"})).failed(400, "BadRequest")
    assert "v2" in body["message"]


async def test_built_in_kinds_need_no_kind(api: Api) -> None:
    """A body without kind and apiVersion is accepted for a built-in kind."""
    made = await api.create("configmaps", {"metadata": {"name": "bare"}, "data": {"a": "b"}})

    assert (made["kind"], made["apiVersion"]) == ("ConfigMap", "v1")


async def test_custom_resources_need_their_kind(api: Api, widgets: str) -> None:
    """A custom resource without apiVersion, or with another kind, is refused."""
    group = widgets.removesuffix("/v1")
    nameless = {key: value for key, value in widget(group).items() if key != "apiVersion"}

    assert (await api.post(api.path("widgets", group=widgets), nameless)).status >= 400
    other = await api.post(api.path("widgets", group=widgets), widget(group) | {"kind": "Gadget"})
    assert other.status in {400, 422}
    assert (await api.get(api.path("widgets", group=widgets))).ok()["items"] == []


@pytest.mark.parametrize("body", [b"", b'{"kind":', b"[]"], ids=["empty", "cut off", "a list"])
async def test_what_is_no_object_is_400(api: Api, body: bytes) -> None:
    """A body that cannot be read is a BadRequest, never a server error."""
    reply = await api.post(api.path("configmaps"), body)

    reply.failed(400, "BadRequest")


async def test_post_only_to_collections(api: Api) -> None:
    """POST on an item, PUT and PATCH on a collection, and POST without a namespace are 405."""
    body = (await api.post(api.path("configmaps", "x"), config_map("x"))).failed(405, "MethodNotAllowed")
    assert body["details"] == {}
    assert (await api.put(api.path("configmaps"), config_map())).status == 405
    assert (await api.patch(api.path("configmaps"), {})).status == 405
    assert (await api.post("/api/v1/configmaps", config_map())).status == 405


@pytest.mark.parametrize(
    ("mode", "status"), [("Strict", 400), ("Warn", 201), ("Ignore", 201)], ids=["strict", "warn", "ignore"]
)
async def test_unknown_fields(api: Api, mode: str, status: int) -> None:
    """`fieldValidation` decides whether an unknown field is refused, warned about, or ignored; it never stays."""
    api.server.needs(25)
    body: dict[str, Any] = config_map() | {"nope": 1}

    reply = await api.post(api.path("configmaps"), body, params={"fieldValidation": mode})

    assert reply.status == status
    if mode == "Strict":
        assert 'strict decoding error: unknown field "nope"' in reply.body["message"]
    else:
        assert "nope" not in reply.body
        assert ("Warning" in reply.headers) is (mode == "Warn")


async def test_unknown_fields_are_not_stored(api: Api) -> None:
    """Without fieldValidation, a built-in object with an unknown field is stored without it."""
    made = await api.create("configmaps", config_map() | {"nope": 1})

    assert "nope" not in made


async def test_duplicate_fields(api: Api) -> None:
    """Strict field validation sees a member that is there twice."""
    api.server.needs(25)
    body = b'{"metadata":{"name":"x"},"data":{"a":"1","a":"2"}}'

    reply = await api.post(api.path("configmaps"), body, params={"fieldValidation": "Strict"})

    assert "duplicate field" in reply.failed(400, "BadRequest")["message"]


async def test_dry_run(api: Api) -> None:
    """dryRun=All answers with the object as it would be, and stores nothing."""
    reply = await api.post(api.path("configmaps"), config_map("ghost"), params={"dryRun": "All"})

    assert reply.status == 201
    assert "resourceVersion" not in reply.body["metadata"]
    assert reply.body["metadata"]["uid"]
    assert (await api.get(api.path("configmaps", "ghost"))).status == 404


@pytest.mark.parametrize("value", ["Yes", ""])
async def test_dry_run_takes_only_all(api: Api, value: str) -> None:
    """Any other value of dryRun is 422."""
    reply = await api.post(api.path("configmaps"), config_map(), params={"dryRun": value})

    reply.failed(422, "Invalid")
    assert reply.cause_fields() == ["dryRun"]


async def test_a_huge_body_is_refused(api: Api) -> None:
    """More than 3 MiB is 413."""
    body = b'{"metadata":{"name":"x"},"data":{"a":"' + b"x" * 3_200_000 + b'"}}'

    assert (await api.post(api.path("configmaps"), body)).status == 413


async def test_integer_parameters_are_strict(api: Api) -> None:
    """limit=abc is 400."""
    (await api.get(api.path("configmaps"), params={"limit": "abc"})).failed(400, "BadRequest")
