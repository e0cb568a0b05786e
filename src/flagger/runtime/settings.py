"""Everything about the operator that can be configured: flags and environment, read once.

The names of flags are upstream's, so container arguments keep working; help and docs come from this table.
"""
# ruff: noqa: RUF009 -- `_flag` makes a field, as `field` does

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, get_type_hints

from flagger.api.analysis import INTERVAL_FLOOR
from flagger.api.quantities import format_duration, parse_duration
from flagger.kube.lease import Terms
from flagger.outbound import Proxies

_KLOG_SWITCHES = frozenset(
    {"logtostderr", "alsologtostderr", "add_dir_header", "skip_headers", "skip_log_headers", "one_output"}
)
_KLOG_VALUES = frozenset(
    {"v", "vmodule", "stderrthreshold", "log_dir", "log_file", "log_file_max_size", "log_backtrace_at"}
)
_TUNING = frozenset({"kubeconfig-qps", "kubeconfig-burst", "threadiness", "control-loop-interval"})
_SWITCHES = _KLOG_SWITCHES | {"zap-replace-globals"}
IGNORED = _SWITCHES | _KLOG_VALUES | _TUNING
"""Flags of upstream that have nothing to set here; taken so that its manifests start."""

_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})


class UsageError(Exception):
    """A flag is unknown or its value can't be read; the text says which and what is expected."""


class HelpRequested(Exception):  # noqa: N818 - not an error
    """`-h` or `-help` was given."""


def _flag(default: Any, text: str, *, env: str = "", one_of: Sequence[str] = ()) -> Any:
    return field(default=default, metadata={"help": text, "env": env, "one_of": one_of})


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
    analysis_interval_floor: timedelta = _flag(INTERVAL_FLOOR, "shortest analysis interval that is honoured")
    log_level: str = _flag("debug", "debug, info, warn, error, fatal or panic; anything else is info")
    zap_encoding: str = _flag("json", "log lines as json or console", one_of=("json", "console"))
    port: str = _flag("8080", "port of /metrics, /healthz and /readyz")
    address: str = _flag("", "address to listen on; all interfaces when empty")
    enable_leader_election: bool = _flag(False, "act only while holding the Lease flagger-leader-election")
    leader_election_namespace: str = _flag("kube-system", "namespace of the Lease; -namespace wins when set")
    lease_duration: timedelta = _flag(
        Terms().duration, "when the Lease of a leader that is gone is taken over"
    )
    lease_renew_deadline: timedelta = _flag(Terms().renew_deadline, "when a leader that can't renew gives up")
    lease_retry_period: timedelta = _flag(Terms().retry, "time between two attempts at the Lease")
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
    in_cluster: bool = False
    """Whether this process is a pod of a cluster, and so knows the names of its Services."""
    proxies: Proxies = Proxies()
    """The process's own proxies, for alerts whose receiver names none."""

    @property
    def port_number(self) -> int:
        """The port as a number."""
        return int(self.port)

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
        return _items(self.selector_labels)

    @property
    def label_prefixes(self) -> tuple[str, ...]:
        """The prefixes of labels and annotations that are copied to generated workloads."""
        return _items(self.include_label_prefix)


def read_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Settings from Go-style flags (`-name=value`, `--name value`) and the environment.

    As upstream does, parsing stops at the first word that is no flag.

    Raises:
        UsageError: an unknown flag or an unreadable value.
        HelpRequested: help was asked for.
    """
    values: dict[str, Any] = {}
    for name, text in _words(arguments):
        if name not in IGNORED:
            values[_FLAGS[name].name] = _value(name, text)
    for item in _FLAGS.values():
        if environment.get(item.metadata["env"]):
            values[item.name] = environment[item.metadata["env"]]
    settings = Settings(
        **values,
        in_cluster=bool(environment.get("KUBERNETES_SERVICE_HOST")),
        proxies=Proxies.from_environment(environment),
    )
    _check(settings)
    return settings


def usage() -> str:
    """The flags with their defaults, one a paragraph."""
    lines = ["Usage of flagger run:"]
    for name, item in _FLAGS.items():
        shown = f" (default {_shown(item.default)})" if item.default not in ("", False) else ""
        variable = f"; ${item.metadata['env']} wins over it" if item.metadata["env"] else ""
        lines.append(f"  -{name}\n        {item.metadata['help']}{variable}{shown}")
    ignored = ", ".join(f"-{name}" for name in sorted(IGNORED))
    lines.append(f"Taken for the sake of existing manifests, without effect: {ignored}")
    return "\n".join(lines)


_FLAGS: Mapping[str, Field[Any]] = {
    item.name.replace("_", "-"): item for item in fields(Settings) if item.metadata
}
_TYPES = get_type_hints(Settings)


def _items(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip())


def _shown(default: object) -> str:
    if isinstance(default, timedelta):
        return format_duration(default)
    return str(default).lower() if isinstance(default, bool) else str(default)


def _words(arguments: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Names and values of the flags; the value of a lone switch is None."""
    rest = iter(arguments)
    for word in rest:
        if not word.startswith("-") or word in {"-", "--"}:
            return
        name, equals, text = word.removeprefix("-").removeprefix("-").partition("=")
        if not name or name.startswith("-"):
            raise UsageError(f"bad flag syntax: {word}")
        if name in {"h", "help"}:
            raise HelpRequested
        if name not in IGNORED and name not in _FLAGS:
            raise UsageError(f"flag provided but not defined: -{name}")
        if equals:
            yield name, text
        elif name in _SWITCHES or (name in _FLAGS and _TYPES[_FLAGS[name].name] is bool):
            yield name, None
        else:
            value = next(rest, None)
            if value is None:
                raise UsageError(f"flag needs an argument: -{name}")
            yield name, value


def _value(name: str, text: str | None) -> Any:
    kind = _TYPES[_FLAGS[name].name]
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
    except ValueError as error:
        raise UsageError(f"invalid value for flag -{name}: {error}") from error


def _check(settings: Settings) -> None:
    """What the types don't say.

    Raises:
        UsageError: a value is none of those that there are, or doesn't go with another.
    """
    if settings.kubeconfig_service_mesh not in ("", settings.kubeconfig):
        raise UsageError("-kubeconfig-service-mesh: routes in another cluster are not supported yet")
    for name, item in _FLAGS.items():
        allowed = item.metadata["one_of"]
        if allowed and getattr(settings, item.name) not in allowed:
            raise UsageError(f"invalid value for flag -{name}: use one of {', '.join(allowed)}")
    if not settings.port.isdecimal() or int(settings.port) > 65535:
        raise UsageError(f"invalid value {settings.port!r} for flag -port: it is no port number")
    terms = (timedelta(), settings.lease_retry_period, settings.lease_renew_deadline, settings.lease_duration)
    if not all(shorter < longer for shorter, longer in pairwise(terms)):
        raise UsageError(
            "-lease-retry-period must be below -lease-renew-deadline, that below -lease-duration"
        )
