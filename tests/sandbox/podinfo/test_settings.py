"""Flags and variables of the sample app."""

import pytest

from flagger.sandbox.podinfo.settings import SettingError, Settings, flags, parse


@pytest.mark.parametrize(
    ("arguments", "environ", "field", "value"),
    [
        pytest.param(["--port=8080"], {}, "port", 8080, id="flag with ="),
        pytest.param(["--port", "8080"], {}, "port", 8080, id="flag with a space"),
        pytest.param(["-level=debug"], {}, "level", "debug", id="one dash"),
        pytest.param(["--random-error"], {}, "random_error", True, id="bare boolean"),
        pytest.param(["--random-delay=false"], {}, "random_delay", False, id="boolean with a value"),
        pytest.param([], {"PODINFO_UI_MESSAGE": "hi"}, "ui_message", "hi", id="variable"),
        pytest.param(["--ui-color=red"], {"PODINFO_UI_COLOR": "blue"}, "ui_color", "red", id="the flag wins"),
        pytest.param(["--unready", "--port=1"], {}, "unready", True, id="boolean before a flag"),
        pytest.param([], {"PODINFO_FAIL_EVERY": "4"}, "fail_every", 4, id="fault"),
        pytest.param(["--server-shutdown-timeout=7s"], {}, "server_shutdown_timeout", 7.0, id="seconds"),
        pytest.param(["--grpc-port=9999", "--h2c", "--port=3"], {}, "port", 3, id="meaningless flags"),
        pytest.param([], {"POD_IP": "127.128.0.9"}, "host", "127.128.0.9", id="the pod's own address"),
        pytest.param(["--host=0.0.0.0"], {"POD_IP": "127.1.1.1"}, "host", "127.1.1.1", id="narrowed"),
        pytest.param(["--host=127.0.0.1"], {"POD_IP": "127.1.1.1"}, "host", "127.0.0.1", id="as told"),
        pytest.param([], {"HOSTNAME": "web-1"}, "hostname", "web-1", id="the pod's name"),
    ],
)
def test_reads(arguments: list[str], environ: dict[str, str], field: str, value: object) -> None:
    """Each form of each kind of setting is understood."""
    assert getattr(parse(arguments, environ), field) == value


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port=many"], r"--port: 'many' is not a int"),
        (["--random-error=maybe"], r"--random-error: 'maybe'"),
    ],
)
def test_names_the_flag_that_is_wrong(arguments: list[str], message: str) -> None:
    """An unusable value is an error that says which."""
    with pytest.raises(SettingError, match=message):
        parse(arguments, {})


def test_skips_words_that_are_no_flags() -> None:
    """Words between flags belong to nobody."""
    assert flags(["serve", "--a", "1", "x", "--b"]) == {"a": "1", "b": "true"}


def test_greets_with_its_version() -> None:
    """Without a message of its own it names its version."""
    assert Settings(version="6.1.0").message == "greetings from podinfo v6.1.0"
    assert Settings(ui_message="hello").message == "hello"
