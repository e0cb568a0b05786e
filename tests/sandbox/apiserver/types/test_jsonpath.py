"""The paths of printer columns."""

from typing import Any

import pytest

from flagger.sandbox.apiserver.types.jsonpath import PathError, compile_path

OBJ: Any = {
    "spec": {"tags": ["x", "y"], "size": 3, "a.b": "dotted", "rules": [{"host": "h1"}, {"host": "h2"}]},
    "status": {
        "conditions": [
            {"type": "Synced", "status": "False"},
            {"type": "Ready", "status": "True", "count": 2},
        ]
    },
    "metadata": {"annotations": {"example.com/x": "note"}},
}
FOUND = [
    (".spec.size", [3]),
    (".spec.tags", [["x", "y"]]),
    (".spec.tags[0]", ["x"]),
    (".spec.tags[-1]", ["y"]),
    (".spec.tags[9]", []),
    (".spec.tags[*]", ["x", "y"]),
    (".spec.rules[*].host", ["h1", "h2"]),
    (".spec.rules[0].host", ["h1"]),
    (".spec['a.b']", ["dotted"]),
    (".spec.a\\.b", ["dotted"]),
    (".metadata.annotations.example\\.com/x", ["note"]),
    ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
    (".status.conditions[?(@.type=='Ready')].status", ["True"]),
    ('.status.conditions[?(@.type!="Ready")].status', ["False"]),
    (".status.conditions[?(@.count==2)].type", ["Ready"]),
    (".status.conditions[?(@.count)].type", ["Ready"]),
    ('.status.conditions[?(@.type=="Nope")].status', []),
    (".spec.nope.deeper", []),
    ("{.spec.size}", [3]),
    ("..host", ["h1", "h2"]),
]


@pytest.mark.parametrize(("path", "found"), FOUND, ids=[case[0] for case in FOUND])
def test_what_paths_find(path: str, found: list[Any]) -> None:
    """A path finds all values it leads to, and nothing where there is nothing."""
    assert compile_path(path)(OBJ) == found


@pytest.mark.parametrize("path", [".a[", ".a[1:2:3]x[", "no dot", ".a[?(@.b>1)]"])
def test_other_paths_are_refused(path: str) -> None:
    """A path outside of the subset is refused when it is compiled."""
    with pytest.raises(PathError):
        compile_path(path)
