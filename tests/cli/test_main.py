"""The command line finds its verbs, suggests what was meant, and exits with codes that scripts can rely on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from flagger import __version__
from flagger.cli.main import VERBS, flagger, meaning


def run(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the real program."""
    return subprocess.run(
        [sys.executable, "-m", "flagger", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environ},
    )


@pytest.mark.parametrize(
    ("words", "in_cluster", "expected"),
    [
        pytest.param([], False, ["--help"], id="nothing, on a terminal"),
        pytest.param([], True, ["run"], id="nothing, in a cluster"),
        pytest.param(
            ["-log-level=info", "-mesh-provider=istio"],
            False,
            ["run", "-log-level=info", "-mesh-provider=istio"],
            id="flags only",
        ),
        pytest.param(["-version"], False, ["run", "-version"], id="upstream's version flag"),
        pytest.param(["help"], False, ["--help"], id="help"),
        pytest.param(["-h"], True, ["--help"], id="-h"),
        pytest.param(["-help"], False, ["--help"], id="Go's -help"),
        pytest.param(["--help"], False, ["--help"], id="--help"),
        pytest.param(["demo", "--plain"], True, ["demo", "--plain"], id="a verb"),
    ],
)
def test_what_the_words_mean(
    monkeypatch: pytest.MonkeyPatch, words: list[str], in_cluster: bool, expected: list[str]
) -> None:
    """Flags alone, or nothing inside a cluster, are the operator, as in upstream's container arguments."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    if in_cluster:
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")

    assert meaning(words) == expected


@pytest.mark.parametrize(
    ("word", "meant"),
    [("demoo", "demo"), ("dmeo", "demo"), ("rnu", "run"), ("sandbx", "sandbox"), ("verison", "version")],
)
def test_suggests_the_verb_that_was_meant(word: str, meant: str) -> None:
    """A mistyped verb is an error with a suggestion; upstream would have started the operator."""
    done = run(word)

    assert (done.returncode, done.stdout) == (2, "")
    assert f"No such command '{word}'. Did you mean '{meant}'?" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "stream", "text"),
    [
        pytest.param(["frobnicate"], 2, "stderr", "No such command 'frobnicate'.", id="unknown verb"),
        pytest.param(["sandbox", "upp"], 2, "stderr", "Did you mean 'up'?", id="unknown verb of the sandbox"),
        pytest.param(
            ["-no-such-flag"], 2, "stderr", "flag provided but not defined: -no-such-flag", id="flag"
        ),
        pytest.param(
            ["demo", "--interval", "soon"], 2, "stderr", "'soon' is not a duration", id="bad duration"
        ),
        pytest.param(["demo", "--engine", "none"], 2, "stderr", "'none' is not one of", id="bad engine"),
        pytest.param(["version"], 0, "stdout", f"flagger {__version__}", id="version"),
        pytest.param(["-version"], 0, "stdout", f"Flagger version {__version__}", id="operator's version"),
        pytest.param(["run", "--help"], 0, "stdout", "-mesh-provider", id="operator's help"),
    ],
)
def test_exit_codes(words: list[str], code: int, stream: str, text: str) -> None:
    """0 when all is well, 2 for what can't be understood; no stack trace either way."""
    done = run(*words)

    assert done.returncode == code, done.stderr
    assert text in getattr(done, stream)
    assert "Traceback" not in done.stderr


def test_the_operator_says_what_it_looked_for(tmp_path: Path) -> None:
    """Without any cluster: where a kubeconfig was looked for, and exit code 1."""
    done = run("-log-level=info", HOME=str(tmp_path), KUBECONFIG="", KUBERNETES_SERVICE_HOST="")

    assert done.returncode == 1
    assert str(tmp_path) in done.stderr
    assert "flagger sandbox up" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_lists_all_verbs_without_importing_them() -> None:
    """Help is quick: it knows the verbs, but none of their modules, nor the operator's flags."""
    code = (
        "import sys; from flagger.cli.main import flagger;"
        "flagger.main(['--help'], standalone_mode=False);"
        "print([name for name in sys.modules if name.startswith(('flagger.runtime', 'flagger.cli.', 'aiohttp'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert all(f"  {verb}" in done.stdout for verb in VERBS)
    assert "operator flags: flagger run --help" in done.stdout
    assert done.stdout.splitlines()[-1] == "['flagger.cli.main']"


@pytest.mark.parametrize(
    "words", [["demo"], *(["sandbox", verb] for verb in ("up", "down", "status", "release"))], ids=" ".join
)
def test_every_command_has_help(words: list[str]) -> None:
    """Each says in a sentence what it does."""
    done = CliRunner().invoke(flagger, [*words, "--help"])

    assert done.exit_code == 0
    assert len(done.output.splitlines()) > 5
