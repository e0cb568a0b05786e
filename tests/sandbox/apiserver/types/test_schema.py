"""Structural schemas: pruning, defaults, violations, rules."""

from typing import Any

import pytest

from tests.sandbox.apiserver.types.builders import NOW, Object, built_in, definition, placed, widget, widgets

STRING = {"type": "string"}
CRDS = built_in("apiextensions.k8s.io", "v1", "customresourcedefinitions")


def spec(**properties: Any) -> Object:
    """A schema with members."""
    return {"type": "object", "properties": properties}


def stored(schema: Object, **value: Any) -> Any:
    """The value of `spec` as it is stored."""
    return widgets(schema).prepare_create(widget(**value), NOW)["spec"]


KEPT = {"x-kubernetes-preserve-unknown-fields": True}
COMPLETED = [
    pytest.param(spec(a=STRING), {"a": "x", "b": 1}, {"a": "x"}, id="unknown members go"),
    pytest.param(spec(a=spec(b=STRING)), {"a": {"b": "x", "c": 1}}, {"a": {"b": "x"}}, id="also below"),
    pytest.param(
        spec(a=STRING) | KEPT, {"a": "x", "b": 1}, {"a": "x", "b": 1}, id="unless they are preserved"
    ),
    pytest.param(
        spec(a=spec(b=STRING)) | KEPT,
        {"a": {"b": "x", "c": 1}},
        {"a": {"b": "x"}},
        id="which does not reach below",
    ),
    pytest.param(
        spec(a={"type": "array", "items": spec(b=STRING)}),
        {"a": [{"b": "x", "c": 1}]},
        {"a": [{"b": "x"}]},
        id="in lists",
    ),
    pytest.param(
        spec(a={"type": "object", "additionalProperties": spec(b=STRING)}),
        {"a": {"any": {"b": "x", "c": 1}}},
        {"a": {"any": {"b": "x"}}},
        id="in maps",
    ),
    pytest.param(spec(a={"type": "string", "default": "d"}), {}, {"a": "d"}, id="a default"),
    pytest.param(spec(a=spec(b={"type": "string", "default": "d"})), {}, {}, id="only where its parent is"),
    pytest.param(
        spec(a=spec(b={"type": "string", "default": "d"}) | {"default": {}}),
        {},
        {"a": {"b": "d"}},
        id="a cascade",
    ),
    pytest.param(spec(a={"type": "string", "default": "d"}), {"a": None}, {"a": "d"}, id="null is replaced"),
    pytest.param(spec(a=STRING), {"a": None}, {}, id="or dropped"),
    pytest.param(
        spec(a={"type": "string", "nullable": True, "default": "d"}),
        {"a": None},
        {"a": None},
        id="or allowed",
    ),
    pytest.param(
        spec(a={"type": "object", "x-kubernetes-embedded-resource": True, **KEPT}),
        {"a": {"kind": "X", "metadata": {"name": "n"}, "spec": {}}},
        {"a": {"kind": "X", "metadata": {"name": "n"}, "spec": {}}},
        id="embedded objects",
    ),
]


@pytest.mark.parametrize(("schema", "sent", "kept"), COMPLETED)
def test_completion(schema: Object, sent: Object, kept: Object) -> None:
    """Objects are pruned and defaulted by their schema."""
    assert stored(schema, **sent) == kept


def test_defaults_are_not_shared() -> None:
    """Two objects with one default can be changed apart."""
    schema = spec(
        a={
            "type": "object",
            "default": {"list": []},
            "properties": {"list": {"type": "array", "items": STRING}},
        }
    )

    first, second = stored(schema), stored(schema)
    first["a"]["list"].append("x")

    assert second == {"a": {"list": []}}


def test_unknown_members_are_named() -> None:
    """Strict decoding can name what would be pruned."""
    kind = widgets(spec(a={"type": "array", "items": spec(b=STRING)}))
    obj = widget(a=[{"b": "x", "c": 1}], d=1) | {"extra": 1}
    obj["metadata"]["nope"] = 1

    assert sorted(kind.unknown_fields(obj)) == ["extra", "metadata.nope", "spec.a[0].c", "spec.d"]


def causes(schema: Object, **value: Any) -> list[tuple[str, str, str]]:
    """The violations of a value of `spec`."""
    kind = widgets(schema)
    found = kind.validate(kind.prepare_create(widget(**value), NOW))
    return [(cause.reason, cause.field, cause.message) for cause in found]


VIOLATED = [
    ({"type": "integer", "multipleOf": 3}, 4, "should be a multiple of 3"),
    ({"type": "integer", "minimum": 3, "exclusiveMinimum": True}, 3, "should be greater than 3"),
    ({"type": "integer", "maximum": 3, "exclusiveMaximum": True}, 3, "should be less than 3"),
    ({"type": "string", "minLength": 2}, "x", "should be at least 2 chars long"),
    (
        {"type": "object", "maxProperties": 1, "additionalProperties": STRING},
        {"a": "", "b": ""},
        "at most 1 properties",
    ),
    ({"type": "array", "items": STRING, "maxItems": 1}, ["a", "b"], "should have at most 1 items"),
    ({"type": "string", "format": "ipv4"}, "1.2.3", "must be of type ipv4"),
    ({"type": "string", "format": "duration"}, "soon", "must be of type duration"),
    ({"type": "string", "format": "uuid"}, "x", "must be of type uuid"),
    ({"type": "string", "anyOf": [{"pattern": "^a"}, {"pattern": "^b"}]}, "c", "at least one schema (anyOf)"),
    (
        {"type": "string", "allOf": [{"pattern": "^a"}, {"pattern": "z$"}]},
        "ab",
        "must validate all the schemas (allOf)",
    ),
    ({"type": "string", "not": {"pattern": "^a"}}, "a", "must not validate the schema (not)"),
    ({"type": "array", "items": STRING, "x-kubernetes-list-type": "set"}, ["a", "a"], 'Duplicate value: "a"'),
    ({"type": "integer", "enum": [1, 2]}, 3, 'supported values: "1", "2"'),
]


@pytest.mark.parametrize(("schema", "value", "text"), VIOLATED, ids=[case[2] for case in VIOLATED])
def test_violations(schema: Object, value: Any, text: str) -> None:
    """Each keyword has its text."""
    assert any(text in message for _, _, message in causes(spec(a=schema), a=value))


VALID = [
    ({"type": "string", "format": "unheard-of"}, "x"),
    ({"type": "string", "format": "date"}, "2026-01-02"),
    ({"type": "string", "format": "byte"}, "AA=="),
    ({"type": "number"}, 3),
    ({"type": "integer"}, 3.0),
    ({"type": "string", "pattern": r"^\d+$"}, "12"),
    ({"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}, "x"),
]


@pytest.mark.parametrize(("schema", "value"), VALID, ids=str)
def test_what_is_valid(schema: Object, value: Any) -> None:
    """Values that fit have no violations."""
    assert causes(spec(a=schema), a=value) == []


def test_finalizers_of_custom_resources_are_free() -> None:
    """Custom resources take any finalizer, built-in kinds only qualified ones."""
    kind = widgets()
    obj = widget()
    obj["metadata"]["finalizers"] = ["noslash"]

    assert kind.validate(kind.prepare_create(obj, NOW)) == []


PORT = "Must have port for Service reference"
REFERENCE = spec(
    group={"type": "string", "default": ""},
    kind={"type": "string", "default": "Service"},
    port={"type": "integer"},
) | {
    "x-kubernetes-validations": [
        {"rule": "self.group != '' || self.kind != 'Service' || has(self.port)", "message": PORT}
    ]
}
MIRROR = spec(mirror={"type": "array", "items": spec(backendRef=REFERENCE)})


def test_rules() -> None:
    """A rule is enforced where it stands, with its message, on the defaulted value."""
    assert causes(MIRROR, mirror=[{"backendRef": {"port": 80}}, {}]) == []
    assert causes(MIRROR, mirror=[{"backendRef": {"kind": "Other"}}]) == []

    [(reason, field, message)] = causes(MIRROR, mirror=[{"backendRef": {}}])

    assert (reason, field) == ("FieldValueInvalid", "spec.mirror[0].backendRef")
    assert message == f'Invalid value: "object": {PORT}'


def ruled(rule: str, **more: str) -> Object:
    """A schema with a rule about a number."""
    return spec(a={"type": "integer", "x-kubernetes-validations": [{"rule": rule, **more}]})


def test_rules_about_changes() -> None:
    """A rule with oldSelf speaks about updates only."""
    kind = widgets(ruled("self >= oldSelf", message="must not shrink", reason="FieldValueForbidden"))
    old, new = (kind.prepare_create(widget(a=number), NOW) for number in (2, 1))

    assert kind.validate(new) == []
    assert kind.validate(old, new) == []
    assert [(cause.reason, cause.field) for cause in kind.validate(new, old)] == [
        ("FieldValueForbidden", "spec.a")
    ]


def test_rules_beyond_the_subset_are_ignored_and_named() -> None:
    """A rule that cannot be evaluated here is not enforced, and the type says which."""
    kind = widgets(ruled("quantity(self).isGreaterThan(quantity('1'))"))

    assert kind.validate(kind.prepare_create(widget(a=0), NOW)) == []
    assert kind.ignored_rules == ("quantity(self).isGreaterThan(quantity('1'))",)


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({}, "failed rule: self > 1"),
        ({"message": "too small"}, "too small"),
        ({"messageExpression": "'at least ' + string(2)"}, "at least 2"),
    ],
)
def test_messages_of_rules(more: Any, text: str) -> None:
    """The message is computed, given, or the rule itself."""
    [(_, _, message)] = causes(ruled("self > 1", **more), a=1)

    assert message.endswith(text)


def test_scale_paths() -> None:
    """A type knows where its replicas are."""
    scale = {
        "specReplicasPath": ".spec.n",
        "statusReplicasPath": ".status.n",
        "labelSelectorPath": ".status.s",
    }
    paths = widgets(subresources={"scale": scale}).scale_paths

    assert paths is not None
    assert (paths.spec_replicas, paths.status_replicas, paths.selector) == (
        ("spec", "n"),
        ("status", "n"),
        ("status", "s"),
    )
    assert widgets().scale_paths is None


def refused(crd: Object, old: Object | None = None) -> list[str]:
    """The fields of a definition that are wrong."""
    prepared = CRDS.prepare_create(placed(CRDS, "", crd), NOW)
    return [cause.field for cause in CRDS.validate(prepared, old)]


def test_definitions_get_their_names() -> None:
    """Singular and list kind follow from the kind; the storage version is remembered."""
    crd = definition()
    del crd["spec"]["names"]["singular"]
    del crd["spec"]["names"]["listKind"]

    made = CRDS.prepare_create(placed(CRDS, "", crd), NOW)

    assert made["spec"]["names"] == {
        "plural": "widgets",
        "kind": "Widget",
        "singular": "widget",
        "listKind": "WidgetList",
    }
    assert made["spec"]["conversion"] == {"strategy": "None"}
    assert made["status"]["storedVersions"] == ["v1"]
    assert CRDS.validate(made) == []


def test_what_definitions_keep() -> None:
    """Scope and kind of an established definition stay; a stored version cannot be dropped."""
    old = CRDS.prepare_create(placed(CRDS, "", definition()), NOW)
    old["status"]["conditions"] = [{"type": "Established", "status": "True"}]
    sent = definition(name="v2")
    sent["spec"] |= {"scope": "Cluster"}

    new = CRDS.prepare_update(old, placed(CRDS, "", sent))

    assert new["status"]["storedVersions"] == ["v1", "v2"]
    fields = [cause.field for cause in CRDS.validate(new, old)]
    assert fields == ["spec.scope", "status.storedVersions[0]"]


@pytest.mark.parametrize(
    "names", [{"kind": "Wid get"}, {"shortNames": ["A b"]}, {"listKind": "Widget"}], ids=str
)
def test_names_of_definitions(names: Any) -> None:
    """Names must be names, and kind and list kind differ."""
    crd = definition()
    crd["spec"]["names"] |= names

    assert len(refused(crd)) == 1


def test_int_or_string_may_be_spelt_out() -> None:
    """The usual anyOf of an int-or-string is structural."""
    either = [{"type": "integer"}, {"type": "string"}]
    port = {"x-kubernetes-int-or-string": True, "anyOf": either}
    nested = {"x-kubernetes-int-or-string": True, "allOf": [{"anyOf": either}, {"pattern": "^a"}]}

    assert refused(definition(spec(a=port, b=nested))) == []


def test_metadata_in_a_schema_is_implicit() -> None:
    """A schema may restrict the name, and nothing else of metadata."""
    crd = definition()
    properties = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    properties["metadata"] = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 5}}}
    assert refused(crd) == []

    properties["metadata"]["properties"]["labels"] = {"type": "object"}
    assert refused(crd) == ["spec.validation.openAPIV3Schema.properties[metadata]"]
