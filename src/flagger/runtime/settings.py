"""Everything about the operator that can be configured: flags and environment, read once.

The names of flags are upstream's, so container arguments keep working; help and docs come from this table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any, get_type_hints

from flagger.api.analysis import INTERVAL_FLOOR
from flagger.api.errors import FieldError
from flagger.api.quantities import parse_duration

_IGNORED = frozenset(
    {
        *("v", "vmodule", "logtostderr", "alsologtostderr", "stderrthreshold", "log_dir", "log_file"),
        *("log_file_max_size", "log_backtrace_at", "add_dir_header", "skip_headers", "skip_log_headers"),
        *("one_output", "zap-replace-globals", "kubeconfig-qps", "kubeconfig-burst", "threadiness"),
        "control-loop-interval",
    }
)
"""Flags of upstream that have nothing to set here; taken so that its manifests start."""

_SWITCHES = frozenset(
    {"logtostderr", "alsologtostderr", "add_dir_header", "one_output", "zap-replace-globals"}
)
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})


class UsageError(Exception):
    """A flag is unknown or its value can't be read; the text says which and what is expected."""


class HelpRequested(Exception):  # noqa: N818 - not an error
    """`-h` or `-help` was given."""


def _flag(default: Any, text: str, *, env: str = "") -> Any:
    return field(default=default, metadata={"help": text, "env": env})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The operator's configuration. An environment variable, where one is named, wins over its flag."""

    kubeconfig: str = _flag(
        "", "kubeconfig file; $KUBECONFIG, ~/.kube/config or the pod's account when empty"
    )
    master: str = _flag("", "address of the API server, overrides the kubeconfig")
    kubeconfig_service_mesh: str = _flag("", "kubeconfig of the cluster with the routes; the same when empty")
    metrics_server: str = _flag("http://prometheus:9090", "Prometheus of built-in metrics and inline queries")
    mesh_provider: str = _flag("istio", "who routes traffic for Canaries that name no provider")
    namespace: str = _flag("", "watch one namespace only")
    selector_labels: str = _flag(
        "app,name,app.kubernetes.io/name", "pod labels to select by, first match wins"
    )
    include_label_prefix: str = _flag(
        "", "prefixes of labels and annotations to copy to workloads, * for all"
    )
    ingress_annotations_prefix: str = _flag(
        "nginx.ingress.kubernetes.io", "annotation prefix of the NGINX ingress"
    )
    ingress_class: str = _flag("", "ingress class of generated HTTPProxy objects")
    enable_config_tracking: bool = _flag(True, "track and copy the ConfigMaps and Secrets of targets")
    no_cross_namespace_refs: bool = _flag(False, "refuse references into other namespaces")
    analysis_interval_floor: timedelta = _flag(INTERVAL_FLOOR, "shortest analysis interval that is honoured")  # noqa: RUF009 - a field, like all others
    log_level: str = _flag("debug", "debug, info, warn, error, fatal or panic")
    zap_encoding: str = _flag("json", "log lines as json or console")
    port: str = _flag("8080", "port of /metrics, /healthz and /readyz")
    address: str = _flag("", "address to listen on; all interfaces when empty")
    enable_leader_election: bool = _flag(False, "act only while holding the Lease flagger-leader-election")
    leader_election_namespace: str = _flag("kube-system", "namespace of the Lease; -namespace wins when set")
    cluster_name: str = _flag("", "name of the cluster in alerts")
    event_webhook: str = _flag("", "URL that receives all events", env="EVENT_WEBHOOK_URL")
    slack_url: str = _flag("", "Slack webhook or API address of global alerts", env="SLACK_URL")
    slack_token: str = _flag("", "Slack bot token", env="SLACK_TOKEN")
    slack_proxy_url: str = _flag("", "HTTP proxy for Slack", env="SLACK_PROXY_URL")
    slack_user: str = _flag("flagger", "Slack user name")
    slack_channel: str = _flag("", "Slack channel")
    msteams_url: str = _flag("", "MS Teams webhook; takes precedence over Slack", env="MSTEAMS_URL")
    msteams_proxy_url: str = _flag("", "HTTP proxy for MS Teams", env="MSTEAMS_PROXY_URL")
    version: bool = _flag(False, "print the version and exit")

    @property
    def kubeconfig_path(self) -> Path | None:
        """The kubeconfig that was asked for, if any."""
        return Path(self.kubeconfig) if self.kubeconfig else None

    @property
    def watched_namespace(self) -> str | None:
        """The only namespace to watch, or None for all."""
        return self.namespace or None

    @property
    def labels(self) -> tuple[str, ...]:
        """The candidates for the selector label, in order."""
        return tuple(self.selector_labels.split(","))

    @property
    def label_prefixes(self) -> tuple[str, ...]:
        """The prefixes of labels and annotations that are copied to generated workloads."""
        return tuple(prefix for prefix in self.include_label_prefix.split(",") if prefix)


def read_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Settings from Go-style flags (`-name=value`, `--name value`) and the environment.

    As upstream does, parsing stops at the first word that is no flag.

    Raises:
        UsageError: an unknown flag or an unreadable value.
        HelpRequested: help was asked for.
    """
    values: dict[str, Any] = {}
    types = get_type_hints(Settings)
    for name, text in _flags(arguments):
        if name in _IGNORED:
            continue
        key = name.replace("-", "_")
        if key not in types:
            raise UsageError(f"flag provided but not defined: -{name}")
        values[key] = _value(name, text, types[key])
    for item in fields(Settings):
        variable = item.metadata["env"]
        if variable and environment.get(variable):
            values[item.name] = environment[variable]
    return Settings(**values)


def usage() -> str:
    """The flags with their defaults, one a paragraph."""
    lines = ["Usage of flagger run:"]
    for item in fields(Settings):
        default = item.default if item.default is not MISSING else ""
        shown = f" (default {_shown(default)})" if default not in ("", False) else ""
        variable = f"; ${item.metadata['env']} wins over it" if item.metadata["env"] else ""
        lines.append(f"  -{item.name.replace('_', '-')}\n        {item.metadata['help']}{variable}{shown}")
    return "\n".join(lines)


def _shown(value: object) -> str:
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _flags(arguments: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Names and values of the flags; the value of a lone switch is None."""
    rest = iter(arguments)
    types = get_type_hints(Settings)
    for word in rest:
        if not word.startswith("-") or word in {"-", "--"}:
            return
        name, equals, text = word.lstrip("-").partition("=")
        if name in {"h", "help"}:
            raise HelpRequested
        if equals:
            yield name, text
        elif types.get(name.replace("-", "_")) is bool or name in _SWITCHES:
            yield name, None
        else:
            value = next(rest, None)
            if value is None:
                raise UsageError(f"flag needs an argument: -{name}")
            yield name, value


def _value(name: str, text: str | None, kind: type) -> Any:
    if text is None or (kind is bool and text in _TRUE):
        return True
    if kind is bool:
        if text in _FALSE:
            return False
        raise UsageError(f"invalid boolean value {text!r} for -{name}")
    if kind is not timedelta:
        return text
    try:
        return parse_duration(text)
    except FieldError as error:
        raise UsageError(f"invalid value {text!r} for flag -{name}: {error.problem}") from error
