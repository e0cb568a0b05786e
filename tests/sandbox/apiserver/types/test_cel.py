"""The expression language of validation rules."""

from typing import Any

import pytest

from flagger.sandbox.apiserver.types.schema.cel import EvaluationError, Unsupported, compile_rule

LISTENERS = [{"port": 1, "name": "a"}, {"port": 1, "name": "b", "host": "x"}]
ONE_OF_EACH = """
self.all(l1, self.exists_one(l2, l1.port == l2.port &&
  (has(l1.host) && has(l2.host) ? l1.host == l2.host : !has(l1.host) && !has(l2.host))))
"""
VALUES: list[tuple[str, Any, Any]] = [
    ("1 + 2 * 3", None, 7),
    ("(1 + 2) * 3", None, 9),
    ("-2 + 5 - 1", None, 2),
    ("7 / 2", None, 3),
    ("-7 / 2", None, -3),
    ("7.0 / 2.0", None, 3.5),
    ("7 % 4", None, 3),
    ("1 < 2 && 2 <= 2 && 3 > 2 && 3 >= 3 && 1 != 2", None, True),
    ("'a' + \"b\"", None, "ab"),
    (r"'a\'b'", None, "a'b"),
    (r"r'\d+'", None, "\\d+"),
    ("[1, 2][1]", None, 2),
    ("2 in [1, 2]", None, True),
    ("'a' in self", {"a": 1}, True),
    ("1 == true", None, False),
    ("null == null", None, True),
    ("self.a.b", {"a": {"b": 5}}, 5),
    ("self['a']", {"a": 5}, 5),
    ("self.x__dash__y", {"x-y": 5}, 5),
    ("self.__in__", {"in": 5}, 5),
    ("has(self.a) ? self.a : 'none'", {}, "none"),
    ("has(self.a.b)", {"a": {}}, False),
    ("!has(self.a)", {"a": 1}, False),
    ("size(self)", [1, 2], 2),
    ("self.size() == 2", "ab", True),
    ("self.all(x, x > 0)", [1, 2], True),
    ("self.exists(x, x > 1)", [1, 2], True),
    ("self.exists_one(x, x > 0)", [1, 2], False),
    ("self.filter(x, x > 1)", [1, 2], [2]),
    ("self.map(x, x * 2)", [1, 2], [2, 4]),
    ("self.map(x, x > 1, x * 2)", [1, 2], [4]),
    ("self.all(key, self[key] > 0)", {"a": 1}, True),
    ("self.matches('^a+$')", "aaa", True),
    ("self.startsWith('a') && self.endsWith('c') && self.contains('b')", "abc", True),
    ("self.split(',').size()", "a,b", 2),
    ("['a', 'b'].join('-')", None, "a-b"),
    ("duration('1m30s') > duration('89s')", None, True),
    ("isIP('10.0.0.1') && !isIP('x')", None, True),
    ("string(int('4') + 1)", None, "5"),
    ("self.a == 1 || true", {}, True),
    ("true || self.a == 1", {}, True),
    ("self.a == 1 && false", {}, False),
    (ONE_OF_EACH, LISTENERS, True),
    (ONE_OF_EACH, [*LISTENERS, {"port": 1}], False),
]


@pytest.mark.parametrize(("rule", "self", "value"), VALUES, ids=[case[0] for case in VALUES])
def test_values(rule: str, self: Any, value: Any) -> None:
    """Expressions have the value that the language definition gives them."""
    result = compile_rule(rule)({"self": self})

    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("rule", "self"),
    [
        ("self.a", {}),
        ("self.a", 1),
        ("self[3]", [1]),
        ("self + 'x'", 1),
        ("!self", 1),
        ("1 / 0", None),
        ("other", None),
        ("self.all(x, x)", [1]),
    ],
)
def test_expressions_without_a_value(rule: str, self: Any) -> None:
    """What has no value is an evaluation error, never anything else."""
    with pytest.raises(EvaluationError):
        compile_rule(rule)({"self": self})


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "1 +",
        "self.",
        "(1",
        "quantity('1')",
        "self.nope()",
        "has(self)",
        "'a",
        "a b",
        "self.all(x)",
        "{'a': 1}",
        "1 ~ 2",
    ],
)
def test_what_is_not_supported(rule: str) -> None:
    """Anything else is refused when it is compiled."""
    with pytest.raises(Unsupported):
        compile_rule(rule)
