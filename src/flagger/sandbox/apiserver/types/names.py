"""The syntax of names, labels and ports, with the texts that Kubernetes answers when it is broken."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from functools import lru_cache

LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN = rf"{LABEL}(\.{LABEL})*"
LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
VALUE = f"({QUALIFIED})?"
CONFIG_KEY = "[-._a-zA-Z0-9]+"
ENV_NAME = "[-._a-zA-Z][-._a-zA-Z0-9]*"
PORT_NAME = "[a-z0-9]([a-z0-9-]*[a-z0-9])*"

Problems = tuple[str, ...]
Rule = Callable[[str], Problems]


def _text(rule: str, examples: str, pattern: str) -> str:
    return f"{rule} (e.g. {examples}, regex used for validation is '{pattern}')"


_ALNUM = "alphanumeric characters"
_ENDS = f"must start and end with an {_ALNUM[:-1]}"
LABEL_TEXT = _text(
    f"a lowercase RFC 1123 label must consist of lower case {_ALNUM} or '-', and {_ENDS}",
    "'my-name',  or '123-abc'",
    LABEL,
)
SUBDOMAIN_TEXT = _text(
    f"a lowercase RFC 1123 subdomain must consist of lower case {_ALNUM}, '-' or '.', and {_ENDS}",
    "'example.com'",
    SUBDOMAIN,
)
LABEL_1035_TEXT = _text(
    f"a DNS-1035 label must consist of lower case {_ALNUM} or '-', start with an alphabetic character, "
    f"and end with an {_ALNUM[:-1]}",
    "'my-name',  or 'abc-123'",
    LABEL_1035,
)
QUALIFIED_TEXT = _text(
    f"name part must consist of {_ALNUM}, '-', '_' or '.', and {_ENDS}",
    "'MyName',  or 'my.name',  or '123-abc'",
    QUALIFIED,
)
QUALIFIED_KEY_TEXT = (
    QUALIFIED_TEXT.replace("name part", "a qualified name")
    + " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
)
VALUE_TEXT = _text(
    f"a valid label must be an empty string or consist of {_ALNUM}, '-', '_' or '.', and {_ENDS}",
    "'MyValue',  or 'my_value',  or '12345'",
    VALUE,
)
CONFIG_KEY_TEXT = _text(
    f"a valid config key must consist of {_ALNUM}, '-', '_' or '.'",
    "'key.name',  or 'KEY_NAME',  or 'key-name'",
    CONFIG_KEY,
)
ENV_NAME_TEXT = _text(
    "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', "
    "and must not start with a digit",
    "'my.env-name',  or 'MY_ENV.NAME',  or 'MyEnvName1'",
    ENV_NAME,
)


def _longer(limit: int) -> str:
    return f"must be no more than {limit} characters"


def _rule(pattern: str, text: str, limit: int) -> Rule:
    matches = re.compile(pattern).fullmatch

    @lru_cache(maxsize=4096)
    def check(value: str) -> Problems:
        if len(value) <= limit and matches(value):
            return ()
        too_long = (_longer(limit),) if len(value) > limit else ()
        return (*too_long, *(() if matches(value) else (text,)))

    return check


label = _rule(LABEL, LABEL_TEXT, 63)
subdomain = _rule(SUBDOMAIN, SUBDOMAIN_TEXT, 253)
label_1035 = _rule(LABEL_1035, LABEL_1035_TEXT, 63)
label_value = _rule(VALUE, VALUE_TEXT, 63)
env_name = _rule(ENV_NAME, ENV_NAME_TEXT, 2**20)
_name_part = re.compile(QUALIFIED).fullmatch


def path_segment(value: str) -> Problems:
    """Check a name that only has to fit into a URL, as the names of roles do."""
    if value in {".", ".."}:
        return (f"may not be '{value}'",)
    return tuple(f"may not contain '{bad}'" for bad in ("/", "%") if bad in value)


@lru_cache(maxsize=4096)
def qualified(key: str) -> Problems:
    """Check the key of a label or annotation: `[prefix/]name`."""
    prefix, slash, name = key.rpartition("/")
    problems: list[str] = []
    if "/" in prefix:
        return (QUALIFIED_KEY_TEXT,)
    if slash:
        problems += (
            ["prefix part must be non-empty"]
            if not prefix
            else [f"prefix part {p}" for p in subdomain(prefix)]
        )
    if not name:
        problems.append("name part must be non-empty")
    elif len(name) > 63:
        problems.append(f"name part {_longer(63)}")
    if not _name_part(name):
        problems.append(QUALIFIED_TEXT)
    return tuple(problems)


@lru_cache(maxsize=4096)
def config_key(key: str) -> Problems:
    """Check a key of a ConfigMap or Secret: it becomes a file name."""
    problems = [_longer(253)] if len(key) > 253 else []
    if not re.fullmatch(CONFIG_KEY, key):
        problems.append(CONFIG_KEY_TEXT)
    elif key == ".":
        problems.append("must not be '.'")
    elif key.startswith(".."):
        problems.append("must not be '..'" if key == ".." else "must not start with '..'")
    return tuple(problems)


def port_name(name: str) -> Problems:
    """Check the name of a container port: at most 15 characters, a letter in it, no double hyphen."""
    problems = ["must be no more than 15 characters"] if len(name) > 15 else []
    if not re.fullmatch("[-a-z0-9]+", name):
        problems.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", name):
        problems.append("must contain at least one letter or number (a-z, 0-9)")
    if "--" in name:
        problems.append("must not contain consecutive hyphens")
    if name.startswith("-") or name.endswith("-"):
        problems.append("must not begin or end with a hyphen")
    return tuple(problems)


def is_address(text: str) -> bool:
    """Tell whether a text is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def port_number(port: object) -> Problems:
    """Check the number of a port."""
    return () if isinstance(port, int) and 0 < port < 65536 else ("must be between 1 and 65535, inclusive",)
