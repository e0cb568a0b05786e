"""Sets of field paths and their written form."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flagger.sandbox.apiserver.fieldset import (
    FieldPath,
    described,
    difference,
    fields_of,
    from_fields_v1,
    to_fields_v1,
    tree_with,
    tree_without,
)
from flagger.sandbox.apiserver.types.registry import Registry

elements = st.sampled_from(["f:a", "f:b", "f:c", 'k:{"name":"x"}'])
paths = st.lists(elements, min_size=1, max_size=3).map(tuple)


@given(st.frozensets(paths))
def test_a_set_survives_being_written(fields: frozenset[FieldPath]) -> None:
    """Reading what was written gives the same set."""
    assert from_fields_v1(to_fields_v1(fields)) == fields


@given(st.frozensets(paths), paths)
def test_trees_are_sets(fields: frozenset[FieldPath], path: FieldPath) -> None:
    """Adding and removing a path in the written form is the same as in the set; what changes nothing is kept."""
    tree = to_fields_v1(fields)

    assert from_fields_v1(tree_with(tree, path)) == fields | {path}
    assert from_fields_v1(tree_without(tree, path)) == fields - {path}
    assert (tree_with(tree, path) is tree) is (path in fields)
    assert (tree_without(tree, path) is tree) is (path not in fields)
    assert tree == to_fields_v1(fields)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("f:spec", "f:replicas"), ".spec.replicas"),
        (("f:containers", 'k:{"name":"app"}', "f:image"), '.containers[name="app"].image'),
        (
            ("f:ports", 'k:{"containerPort":80,"protocol":"TCP"}'),
            '.ports[containerPort=80,protocol="TCP"]',
        ),
        (("f:finalizers", 'v:"a/b"'), '.finalizers[="a/b"]'),
    ],
)
def test_paths_in_words(path: FieldPath, text: str) -> None:
    """How conflicts name a path."""
    assert described(path) == text


def types(group: str = "", plural: str = "configmaps") -> Any:
    """The list types of a built-in kind."""
    kind = Registry().lookup(group, "v1", plural)
    assert kind is not None
    return kind.list_type


def test_what_nobody_owns() -> None:
    """Identity and bookkeeping are never part of a set."""
    obj = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "x", "uid": "u", "labels": {"a": "b"}},
    }

    assert fields_of(obj, types()) == {("f:metadata", "f:labels", "f:a")}


def test_differences() -> None:
    """New and changed leaves are told from removed ones; containers that appear or go are named."""
    old = {"metadata": {}, "data": {"a": "1", "b": "2"}}
    new = {"metadata": {"labels": {"x": "y"}}, "data": {"a": "1", "b": "3"}}

    found = difference(old, new, types())

    assert found.changed == {("f:data", "f:b"), ("f:metadata", "f:labels"), ("f:metadata", "f:labels", "f:x")}
    assert difference(new, old, types()).removed == found.changed - {("f:data", "f:b")}


def test_keyed_lists_compare_by_key() -> None:
    """The order of a keyed list does not matter to ownership, that of an atomic one does."""
    first, second = {"name": "a", "image": "1"}, {"name": "b", "image": "2", "args": ["x", "y"]}

    def spec(*containers: Any) -> Any:
        return {"spec": {"template": {"spec": {"containers": list(containers)}}}}

    of = types("apps", "deployments")
    assert not difference(spec(first, second), spec(second, first), of).changed
    turned = second | {"args": ["y", "x"]}
    at = ("f:spec", "f:template", "f:spec", "f:containers", 'k:{"name":"b"}', "f:args")
    assert difference(spec(first, second), spec(first, turned), of).changed == {at}
