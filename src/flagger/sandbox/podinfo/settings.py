"""What the sample app can be told: podinfo's flags and `PODINFO_…` variables, and faults of our own.

A flag `--random-delay` is the field `random_delay` and the variable `PODINFO_RANDOM_DELAY`; flags win. Flags
of podinfo that mean nothing here (gRPC, cache, TLS) are accepted and ignored, so that its manifests run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

PREFIX = "PODINFO_"
TRUE = frozenset({"1", "t", "true", "y", "yes", "on"})
FALSE = frozenset({"0", "f", "false", "n", "no", "off", ""})


class SettingError(ValueError):
    """A flag or variable has a value that cannot be used."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One instance of the sample app; times are in seconds unless their name says otherwise."""

    host: str = "127.0.0.1"
    port: int = 9898
    port_metrics: int = 0
    """A second listener for `/metrics` only; 0 means none. The main port serves `/metrics` in any case."""
    level: str = "info"
    """`debug` logs every request."""
    ui_message: str = ""
    ui_color: str = "#34577c"
    ui_logo: str = ""
    config_path: str = ""
    """A directory whose files `/configs` shows."""
    version: str = "0.0.0"
    revision: str = "unknown"
    server_shutdown_timeout: float = 5.0
    """How long requests in flight may take after the listeners are closed."""
    drain: float = 3.0
    """After SIGTERM: how long to go on serving, not ready, while load balancers take this instance out."""

    random_delay: bool = False
    random_delay_min: float = 0.0
    random_delay_max: float = 5.0
    random_delay_unit: str = "s"
    random_error: bool = False
    """One user request in three fails, as in podinfo."""
    unhealthy: bool = False
    unready: bool = False
    """Never ready."""

    fail_every: int = 0
    """Every Nth user request answers 500, counted exactly; 0 means none."""
    fail_ratio: float = 0.0
    """The share of user requests, drawn at random, that answer 500 (0 to 1)."""
    latency_ms: float = 0.0
    """Added to every user request."""
    crash_after: float = -1.0
    """Exit with code 1 this long after the start; 0 is at the start, below 0 is never."""

    hostname: str = "podinfo"
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def message(self) -> str:
        """The greeting."""
        return self.ui_message or f"greetings from podinfo v{self.version}"

    @property
    def delay_unit(self) -> float:
        """Seconds in one unit of the random delay."""
        return 0.001 if self.random_delay_unit == "ms" else 1.0


NOT_SETTABLE = frozenset({"hostname", "environ"})


def parse(arguments: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """Settings from a command line without the program's name, and an environment.

    A listener on all addresses is narrowed to `POD_IP` if that is set: pods share a machine, each on its own
    address.

    Raises:
        SettingError: a value does not have the type of its flag.
    """
    given = flags(arguments)
    values: dict[str, Any] = {}
    for setting in fields(Settings):
        text = given.get(setting.name, environ.get(PREFIX + setting.name.upper()))
        if text is not None and setting.name not in NOT_SETTABLE:
            values[setting.name] = convert(setting.name, text, type(setting.default))
    if not Path(values.get("config_path", "/")).exists():
        # Where pods cannot have mounts of their own, their volumes are below a directory of theirs.
        values["config_path"] = environ.get("POD_ROOT", "") + values["config_path"]
    if environ.get("POD_IP") and values.get("host", "") in {"", "0.0.0.0", "::"}:
        values["host"] = environ["POD_IP"]
    return Settings(**values, hostname=environ.get("HOSTNAME", "podinfo"), environ=dict(environ))


def flags(arguments: Sequence[str]) -> dict[str, str]:
    """`--a=b`, `--a b`, `-a b` and bare `--a` (which is "true") by field name; other words are skipped."""
    booleans = {setting.name for setting in fields(Settings) if setting.type is bool}
    found: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            continue
        name, equals, value = word.lstrip("-").partition("=")
        name = name.replace("-", "_")
        if not equals:
            takes_next = (
                rest
                and not rest[0].startswith("-")
                and (name not in booleans or rest[0].lower() in TRUE | FALSE)
            )
            value = rest.pop(0) if takes_next else "true"
        found[name] = value
    return found


def convert(name: str, text: str, kind: type) -> Any:
    """A text as the type of its field; seconds may end in `s`.

    Raises:
        SettingError: it does not read as that type.
    """
    try:
        if kind is bool:
            return truth(text)
        if kind is float:
            return float(text.removesuffix("s"))
        return kind(text)
    except ValueError as error:
        raise SettingError(f"--{name.replace('_', '-')}: {text!r} is not a {kind.__name__}") from error


def truth(text: str) -> bool:
    """A word for yes or no.

    Raises:
        ValueError: it is neither.
    """
    word = text.strip().lower()
    if word not in TRUE | FALSE:
        raise ValueError(text)
    return word in TRUE
