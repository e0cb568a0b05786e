"""Flags and environment, as upstream's manifests write them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from flagger.runtime.settings import IGNORED, HelpRequested, Settings, UsageError, read_settings, usage

UPSTREAM = {
    "kubeconfig": "",
    "master": "",
    "kubeconfig-service-mesh": "",
    "metrics-server": "http://prometheus:9090",
    "log-level": "debug",
    "zap-encoding": "json",
    "port": "8080",
    "namespace": "",
    "mesh-provider": "istio",
    "selector-labels": "app,name,app.kubernetes.io/name",
    "include-label-prefix": "",
    "ingress-annotations-prefix": "nginx.ingress.kubernetes.io",
    "ingress-class": "",
    "enable-config-tracking": True,
    "enable-leader-election": False,
    "leader-election-namespace": "kube-system",
    "no-cross-namespace-refs": False,
    "cluster-name": "",
    "event-webhook": "",
    "slack-url": "",
    "slack-token": "",
    "slack-proxy-url": "",
    "slack-user": "flagger",
    "slack-channel": "",
    "msteams-url": "",
    "msteams-proxy-url": "",
    "version": False,
}
WITHOUT_EFFECT = [
    *("kubeconfig-qps", "kubeconfig-burst", "control-loop-interval", "threadiness", "zap-replace-globals"),
    *("v", "vmodule", "logtostderr", "alsologtostderr", "stderrthreshold", "log_dir", "log_file"),
    *(
        "log_file_max_size",
        "log_backtrace_at",
        "add_dir_header",
        "skip_headers",
        "skip_log_headers",
        "one_output",
    ),
]


def read(*arguments: str, **environment: str) -> Settings:
    return read_settings(arguments, environment)


@pytest.mark.parametrize(("flag", "default"), UPSTREAM.items())
def test_upstreams_flags_and_their_defaults(flag: str, default: str | bool) -> None:
    """Every flag of upstream is there, under its name and with its default."""
    name = flag.replace("-", "_")
    value = (
        "false"
        if default is True
        else "true"
        if default is False
        else {"port": "1", "zap-encoding": "console"}.get(flag, "x")
    )

    assert getattr(Settings(), name) == default
    if flag != "kubeconfig-service-mesh":
        assert getattr(read(f"-{flag}={value}"), name) == (
            not default if isinstance(default, bool) else value
        )


@pytest.mark.parametrize("flag", WITHOUT_EFFECT)
def test_flags_without_effect_are_taken(flag: str) -> None:
    """Existing manifests start; what follows such a flag is still read."""
    assert flag in IGNORED
    assert read(f"-{flag}=1", "-port=9").port == "9"


def test_there_are_no_other_ignored_flags() -> None:
    """A flag that does nothing is accepted only where upstream has it."""
    assert set(WITHOUT_EFFECT) == IGNORED


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["-port=9", "-namespace=shop"], id="one dash, equals"),
        pytest.param(["--port=9", "--namespace=shop"], id="two dashes, equals"),
        pytest.param(["-port", "9", "--namespace", "shop"], id="value apart"),
        pytest.param(["-port=1", "-port=9", "-namespace=shop"], id="the last one counts"),
        pytest.param(["-port=9", "-namespace=shop", "--", "-port=1"], id="ends at two dashes"),
        pytest.param(["-port=9", "-namespace=shop", "word", "-port=1"], id="ends at a word"),
        pytest.param(["-port=9", "-namespace=shop", "-", "-port=1"], id="ends at a dash"),
        pytest.param(["-skip_headers", "-v", "4", "-port=9", "-namespace=shop"], id="beside flags of klog"),
    ],
)
def test_syntax(arguments: list[str]) -> None:
    """The syntax of Go's flag package."""
    settings = read(*arguments)

    assert (settings.port, settings.namespace) == ("9", "shop")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((text, True) for text in ("1", "t", "T", "true", "TRUE", "True")),
        *((text, False) for text in ("0", "f", "F", "false", "FALSE", "False")),
    ],
)
def test_switches(text: str, value: bool) -> None:
    """Go's spellings of true and false; alone, a switch is on."""
    assert read(f"-enable-config-tracking={text}").enable_config_tracking is value
    assert read("-enable-leader-election", "-port=9").enable_leader_election is True


def test_a_switch_takes_no_word() -> None:
    """`-switch false` is the switch, and the end of the flags."""
    settings = read("-enable-leader-election", "false", "-port=9")

    assert (settings.enable_leader_election, settings.port) == (True, "8080")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["-nonsense"], "flag provided but not defined: -nonsense", id="unknown"),
        pytest.param(["-log_level=info"], "not defined: -log_level", id="an underscore"),
        pytest.param(["-port"], "flag needs an argument: -port", id="no value"),
        pytest.param(["---port=9"], "bad flag syntax: ---port=9", id="three dashes"),
        pytest.param(["-=9"], "bad flag syntax: -=9", id="no name"),
        pytest.param(["-enable-leader-election=maybe"], "invalid boolean value 'maybe'", id="no boolean"),
        pytest.param(
            ["-analysis-interval-floor=soon"],
            "-analysis-interval-floor: 'soon' is not a duration",
            id="no duration",
        ),
        pytest.param(["-port=http"], "'http' for flag -port", id="no port"),
        pytest.param(["-port=70000"], "'70000' for flag -port", id="no such port"),
        pytest.param(["-zap-encoding=xml"], "-zap-encoding: use one of json, console", id="no encoding"),
        pytest.param(
            ["-lease-duration=10s"], "-lease-renew-deadline, that below -lease-duration", id="lease terms"
        ),
        pytest.param(
            ["-kubeconfig-service-mesh=x"], "another cluster are not supported yet", id="a second cluster"
        ),
    ],
)
def test_mistakes_are_named(arguments: list[str], message: str) -> None:
    """The message says which flag and what is wrong with it."""
    with pytest.raises(UsageError) as caught:
        read(*arguments)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "name"),
    [
        ("EVENT_WEBHOOK_URL", "event_webhook"),
        ("SLACK_URL", "slack_url"),
        ("SLACK_TOKEN", "slack_token"),
        ("SLACK_PROXY_URL", "slack_proxy_url"),
        ("MSTEAMS_URL", "msteams_url"),
        ("MSTEAMS_PROXY_URL", "msteams_proxy_url"),
    ],
)
def test_environment_wins(variable: str, name: str) -> None:
    """A variable that is set and not empty counts more than its flag."""
    flag = f"-{name.replace('_', '-')}=flag"

    assert getattr(read(flag, **{variable: "environment"}), name) == "environment"
    assert getattr(read(flag, **{variable: ""}), name) == "flag"


def test_lists_are_trimmed() -> None:
    """Blanks and empty items mean nothing."""
    settings = read("-selector-labels=app, name,,", "-include-label-prefix= a , b")

    assert (settings.labels, settings.label_prefixes) == (("app", "name"), ("a", "b"))
    assert read().label_prefixes == ()


def test_derived_values() -> None:
    """What other modules ask for in a form of its own."""
    settings = read(
        "-kubeconfig=/k", "-namespace=shop", "-analysis-interval-floor=1m30s", KUBERNETES_SERVICE_HOST="x"
    )

    assert str(settings.kubeconfig_path) == "/k"
    assert settings.watched_namespace == "shop"
    assert settings.analysis_interval_floor == timedelta(seconds=90)
    assert settings.in_cluster
    assert read().kubeconfig_path is read().watched_namespace is None
    assert not read().in_cluster


@pytest.mark.parametrize("word", ["-h", "-help", "--help", "--h"])
def test_help(word: str) -> None:
    """Asked for in any way, also among others."""
    with pytest.raises(HelpRequested):
        read("-port=9", word)


def test_usage_shows_every_flag() -> None:
    """With its meaning, its default and the variable that wins over it."""
    text = usage()

    assert all(f"\n  -{flag}\n" in text for flag in UPSTREAM)
    assert all(f"-{flag}" in text for flag in WITHOUT_EFFECT)
    assert "shortest analysis interval that is honoured (default 10s)" in text
    assert "$SLACK_TOKEN wins over it" in text
    assert "in_cluster" not in text
