"""Label selectors in the syntax of Kubernetes, in the one spelling that its clients send."""

import re

_NAME = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_KEY = rf"([-a-z0-9.]{{1,253}}/)?{_NAME}"
_VALUE = rf"({_NAME})?"
_FORMS = (
    (re.compile(rf"(?P<key>!?\s*{_KEY})"), "{key}"),
    (re.compile(rf"(?P<key>{_KEY})\s*(?P<sign>==|=|!=)\s*(?P<value>{_VALUE})"), "{key}{sign}{value}"),
    (re.compile(rf"(?P<key>{_KEY})\s*(?P<sign>[<>])\s*(?P<value>[0-9]+)"), "{key}{sign}{value}"),
    (
        re.compile(rf"(?P<key>{_KEY})\s+(?P<sign>in|notin)\s*\((?P<values>[^()]*)\)"),
        "{key} {sign} ({values})",
    ),
)
_COMMA = re.compile(r",(?![^(]*\))")


def canonical(selector: str) -> str:
    """Return the selector with its requirements sorted by key: `a=1,b in (x,y)`.

    Raises:
        ValueError: it is no label selector.
    """
    if not selector.strip():
        return ""
    return ",".join(sorted(map(_requirement, _COMMA.split(selector)), key=lambda text: text.lstrip("!")))


def _requirement(text: str) -> str:
    for form, shape in _FORMS:
        match = form.fullmatch(text.strip())
        if match is None:
            continue
        parts = match.groupdict()
        if "values" in parts:
            parts["values"] = ",".join(sorted(_values(text, parts["values"])))
        return shape.format(**parts | {"key": "".join(parts["key"].split())})
    raise ValueError(f"{text.strip()!r} is no requirement of a label selector")


def _values(text: str, values: str) -> list[str]:
    found = [value.strip() for value in values.split(",")]
    if not all(re.fullmatch(_VALUE, value) for value in found):
        raise ValueError(f"{text.strip()!r} is no requirement of a label selector")
    return found
