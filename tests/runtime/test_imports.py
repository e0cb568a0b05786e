"""What starting the operator must not load."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = [
    *("scipy", "numpy", "pandas"),
    *("rich", "textual"),
    *("cryptography", "promql_parser", "envoy"),
    *("aiobotocore", "botocore", "boto3", "google", "azure"),
    *("kubernetes", "lightkube", "kopf"),
    *("flagger.sandbox", "flagger.demo", "flagger.cli.sandbox"),
]
"""Other verbs' libraries, extras, and everything that only tests need."""

# structlog takes rich where it is installed, for a renderer that is not used; nobody else may ask for it.
SCRIPT = """
import json, sys
sys.modules["rich"] = None
import flagger.cli.run
print(json.dumps([name for name, module in sys.modules.items() if module is not None]))
"""


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """The modules that `flagger run` has loaded before it does anything."""
    answer = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, check=True)
    return set(json.loads(answer.stdout))


@pytest.mark.parametrize("name", HEAVY)
def test_the_operator_starts_without(name: str, loaded: set[str]) -> None:
    """Each of these costs time or memory that the operator has no use for."""
    assert not [module for module in loaded if module == name or module.startswith(f"{name}.")]


def test_the_operator_is_loaded(loaded: set[str]) -> None:
    """The list above is checked against the right process."""
    assert "flagger.runtime.main" in loaded
