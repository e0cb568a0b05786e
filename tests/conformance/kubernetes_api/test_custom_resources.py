"""Schemas of custom resources: pruning, defaults, violations, and what schemas must be."""

import copy
from typing import Any

import pytest

from tests.conformance.kubernetes_api.objects import a_group, widget, widget_definition
from tests.conformance.kubernetes_api.servers import Api, until

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
DRY = {"dryRun": "All"}


def schema(**spec: Any) -> dict[str, Any]:
    """A definition whose only member `spec` has these members."""
    definition = widget_definition(a_group())
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": spec}},
    }
    return definition


PROPERTIES: dict[str, Any] = {
    "size": {"type": "integer", "minimum": 1, "maximum": 10},
    "color": {"type": "string", "enum": ["red", "green"]},
    "name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5},
    "port": {"x-kubernetes-int-or-string": True},
    "when": {"type": "string", "format": "date-time"},
    "ratio": {"type": "number"},
    "flag": {"type": "boolean"},
    "opt": {"type": "string", "nullable": True},
    "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 3},
    "map": {"type": "object", "additionalProperties": {"type": "integer"}},
    "choice": {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
    },
    "list": {
        "type": "array",
        "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
    },
}
VIOLATIONS = [
    ({"size": 11}, "spec.size", "FieldValueInvalid", "should be less than or equal to 10"),
    ({"size": 0}, "spec.size", "FieldValueInvalid", "should be greater than or equal to 1"),
    ({"size": "x"}, "spec.size", "", 'must be of type integer: "string"'),
    ({"size": 1.5}, "spec.size", "", 'must be of type integer: "number"'),
    ({"color": "blue"}, "spec.color", "FieldValueNotSupported", 'supported values: "red", "green"'),
    ({"name": "A"}, "spec.name", "FieldValueInvalid", "should match '^[a-z]+$'"),
    ({"name": "toolong"}, "spec.name", "", "5"),
    ({"port": True}, "spec.port", "", "must be of type integer,string"),
    ({"when": "notadate"}, "spec.when", "FieldValueInvalid", 'must be of type date-time: "notadate"'),
    ({"ratio": "x"}, "spec.ratio", "", 'must be of type number: "string"'),
    ({"flag": "yes"}, "spec.flag", "", 'must be of type boolean: "string"'),
    ({"tags": []}, "spec.tags", "FieldValueInvalid", "should have at least 1 items"),
    ({"map": {"a": "b"}}, "spec.map.a", "", 'must be of type integer: "string"'),
    (
        {"choice": {}},
        "<nil>",
        "FieldValueInvalid",
        "must validate one and only one schema (oneOf). Found none valid",
    ),
    ({"choice": {"a": "x", "b": "y"}}, "<nil>", "FieldValueInvalid", "Found 2 valid alternatives"),
]


@pytest.fixture(scope="session")
def checked_group() -> str:
    """A group for one definition that many tests share."""
    return a_group()


@pytest.fixture
async def checked(api: Api, checked_group: str) -> str:
    """A custom resource with a member for each keyword; made by the first test that needs it."""
    definition = schema(**PROPERTIES)
    definition["metadata"]["name"] = f"widgets.{checked_group}"
    definition["spec"]["group"] = checked_group
    made = await api.post(CRDS, definition)
    assert made.status in {201, 409}

    async def served() -> bool:
        return (await api.get(api.path("widgets", group=f"{checked_group}/v1"))).status == 200

    await until(served, "widgets are served")
    return checked_group


@pytest.mark.parametrize(
    ("spec", "field", "reason", "text"), VIOLATIONS, ids=[str(case[0]) for case in VIOLATIONS]
)
async def test_violations(
    api: Api, checked: str, spec: dict[str, Any], field: str, reason: str, text: str
) -> None:
    """A violation names the field and says what is wrong."""
    obj = widget(checked) | {"spec": spec}

    reply = await api.post(api.path("widgets", group=f"{checked}/v1"), obj, params=DRY)

    reply.failed(422, "Invalid")
    cause = next(cause for cause in reply.causes if cause["field"] == field)
    assert text in cause["message"]
    assert reason in {"", cause["reason"]}


VALID = [
    {"size": 1},
    {"size": 2.0},
    {"opt": None},
    {"color": None},
    {"port": 80},
    {"port": "http"},
    {"when": "2026-01-02T03:04:05Z"},
    {"ratio": 1},
    {"map": {}},
    {"choice": {"a": "x"}},
    {"list": [{"name": "x"}]},
]


@pytest.mark.parametrize("spec", VALID, ids=str)
async def test_what_is_valid(api: Api, checked: str, spec: dict[str, Any]) -> None:
    """Values that fit are taken; null counts as absent where it is not allowed."""
    obj = widget(checked) | {"spec": spec}

    (await api.post(api.path("widgets", group=f"{checked}/v1"), obj, params=DRY)).ok()


async def test_several_violations(api: Api, checked: str) -> None:
    """All violations are told at once."""
    obj = widget(checked) | {"spec": {"size": 11, "color": "blue", "flag": "yes"}}

    reply = await api.post(api.path("widgets", group=f"{checked}/v1"), obj)

    body = reply.failed(422, "Invalid")
    assert set(reply.cause_fields()) == {"spec.size", "spec.color", "spec.flag"}
    assert body["message"].startswith(f'Widget.{checked} "one" is invalid: [')


async def test_pruning_and_defaults(api: Api, widgets: str) -> None:
    """Unknown members go, preserved ones stay, defaults come where their parent is; status waits."""
    group = widgets.partition("/")[0]
    spec = {"unknown": 1, "free": {"x": {"y": 1}}, "items": [{"name": "i", "zzz": 1}], "nested": {}}
    obj = widget(group, **spec) | {"status": {"phase": "x"}, "extra": 5}

    made = await api.create("widgets", obj, group=widgets)

    assert made["spec"] == {
        "size": 3,
        "color": "red",
        "replicas": 1,
        "free": {"x": {"y": 1}},
        "items": [{"name": "i", "weight": 50}],
        "nested": {"deep": "d"},
    }
    assert not {"status", "extra"} & set(made)


async def test_required_members(api: Api, widgets: str) -> None:
    """A missing member is FieldValueRequired."""
    obj = widget(widgets.partition("/")[0]) | {"spec": {}}

    reply = await api.post(api.path("widgets", group=widgets), obj)

    reply.failed(422, "Invalid")
    assert [(cause["reason"], cause["field"]) for cause in reply.causes] == [
        ("FieldValueRequired", "spec.size")
    ]


async def test_keys_of_lists_are_unique(api: Api, widgets: str) -> None:
    """Two elements of a keyed list with one key are a duplicate."""
    obj = widget(widgets.partition("/")[0], items=[{"name": "a"}, {"name": "a"}])

    reply = await api.post(api.path("widgets", group=widgets), obj)

    reply.failed(422, "Invalid")
    [cause] = reply.causes
    assert (cause["reason"], cause["field"]) == ("FieldValueDuplicate", "spec.items[1]")


def renamed(name: str) -> dict[str, Any]:
    """A definition whose name does not fit its group."""
    definition = schema()
    definition["metadata"]["name"] = name
    return definition


def changed(change: Any) -> dict[str, Any]:
    """A definition after a change to its specification."""
    definition = schema(a={"type": "string"})
    change(definition["spec"])
    return definition


def second_storage(spec: dict[str, Any]) -> None:
    """Add another storage version."""
    spec["versions"].append(copy.deepcopy(spec["versions"][0]) | {"name": "v2"})


ROOT = "spec.validation.openAPIV3Schema.properties[spec]"
BROKEN = [
    (renamed("foo.example.org"), "metadata.name", "FieldValueInvalid"),
    (
        changed(lambda spec: spec["versions"][0].pop("schema")),
        "spec.versions[0].schema.openAPIV3Schema",
        "FieldValueRequired",
    ),
    (changed(second_storage), "spec.versions", "FieldValueInvalid"),
    (changed(lambda spec: spec.update(scope="World")), "spec.scope", "FieldValueNotSupported"),
    (schema(b={"properties": {"x": {"type": "string"}}}), f"{ROOT}.properties[b].type", "FieldValueRequired"),
    (schema(b={"type": "array"}), f"{ROOT}.properties[b].items", "FieldValueRequired"),
    (schema(b={"type": "word"}), f"{ROOT}.properties[b].type", "FieldValueNotSupported"),
    (
        schema(
            b={
                "type": "object",
                "properties": {"a": {"type": "string"}},
                "additionalProperties": {"type": "string"},
            }
        ),
        f"{ROOT}.properties[b].additionalProperties",
        "FieldValueForbidden",
    ),
    (
        schema(b={"type": "string", "oneOf": [{"type": "string"}]}),
        f"{ROOT}.properties[b].oneOf[0].type",
        "FieldValueForbidden",
    ),
    (
        schema(b={"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "map"}),
        f"{ROOT}.properties[b].x-kubernetes-list-map-keys",
        "FieldValueRequired",
    ),
    (schema(b={"type": "integer", "default": "x"}), f"{ROOT}.properties[b].default", ""),
    (
        changed(
            lambda spec: spec["versions"][0]["additionalPrinterColumns"].append(
                {"name": "A", "type": "word", "jsonPath": ".a"}
            )
        ),
        "spec.additionalPrinterColumns[2].type",
        "FieldValueInvalid",
    ),
    (
        changed(
            lambda spec: spec["versions"][0]["subresources"]["scale"].update(specReplicasPath=".replicas")
        ),
        "spec.subresources.scale.specReplicasPath",
        "FieldValueInvalid",
    ),
]


@pytest.mark.parametrize(("definition", "field", "reason"), BROKEN, ids=[case[1] for case in BROKEN])
async def test_broken_definitions(api: Api, definition: dict[str, Any], field: str, reason: str) -> None:
    """A definition with a broken name, version or schema is refused, and the place is named."""
    reply = await api.post(CRDS, definition, params=DRY)

    reply.failed(422, "Invalid")
    reasons = {cause["field"]: cause["reason"] for cause in reply.causes}
    assert field in reasons
    assert reason in {"", reasons[field]}


async def test_protected_groups(api: Api) -> None:
    """Groups of the Kubernetes project need an approval."""
    definition = schema()
    definition["metadata"]["name"], definition["spec"]["group"] = "widgets.x.k8s.io", "x.k8s.io"

    reply = await api.post(CRDS, definition, params=DRY)

    reply.failed(422, "Invalid")
    assert reply.cause_fields() == ["metadata.annotations[api-approved.kubernetes.io]"]


async def test_rules(api: Api) -> None:
    """A rule of x-kubernetes-validations is enforced, with its message."""
    api.server.needs(29)
    rule = {
        "rule": "self.kind != 'Service' || has(self.port)",
        "message": "Must have port for Service reference",
    }
    members = {"kind": {"type": "string"}, "port": {"type": "integer"}}
    definition = schema(ref={"type": "object", "properties": members, "x-kubernetes-validations": [rule]})
    group = definition["spec"]["group"]
    (await api.post(CRDS, definition)).ok()
    path = api.path("widgets", group=f"{group}/v1")

    async def served() -> bool:
        return (await api.get(path)).status == 200

    await until(served, "widgets are served")

    bad = await api.post(path, widget(group) | {"spec": {"ref": {"kind": "Service"}}})
    good = await api.post(path, widget(group) | {"spec": {"ref": {"kind": "Service", "port": 80}}})

    bad.failed(422, "Invalid")
    [cause] = bad.causes
    assert cause["field"] == "spec.ref"
    assert cause["message"].endswith(rule["message"])
    good.ok()
    await api.delete(f"{CRDS}/widgets.{group}")
