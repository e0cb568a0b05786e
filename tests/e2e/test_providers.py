"""Every provider with every strategy it supports: real requests, counted by version at each step.

With MATRIX=path the outcome is written down for `docs/providers.md` (`make providers`).
"""

import asyncio
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.gatekeeper import a_gatekeeper
from tests.e2e.providers.setting import Setting
from tests.e2e.providers.table import SETTINGS
from tests.e2e.providers.trial import Trial
from tests.e2e.stage import Stage

pytestmark = pytest.mark.sandbox

Matrix = dict[str, dict[str, dict[str, str]]]
"""Provider → strategy → moment → answers of primary and canary."""


@pytest.fixture(scope="module")
def matrix() -> Iterator[Matrix]:
    """What was counted by the tests of this module."""
    found: Matrix = {}
    yield found
    path = os.environ.get("MATRIX")
    if path:
        Path(path).write_text(json.dumps(found, indent=1))


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
async def test_requests_follow_the_release(stage: Stage, setting: Setting, matrix: Matrix) -> None:
    """At each step of each strategy the new version answers its share of requests, within binomial error."""
    stage.kinds |= {(kind.api_version, kind.kind): kind for kind in setting.kinds}
    async with a_gatekeeper(stage) as keeper:
        trials = [Trial(stage, keeper, setting, each, _name(each, stage)) for each in setting.strategies]
        await asyncio.gather(*(trial.run() for trial in trials))
    matrix[setting.name] = {
        trial.strategy: {when: str(count) for when, count in trial.found.items()} for trial in trials
    }


def _name(strategy: str, stage: Stage) -> str:
    """A name for the release that no other has, as ingress controllers serve all namespaces: `blue-green-3`."""
    return f"{re.sub('[^a-z]', '-', strategy.lower())}-{stage.namespace.rpartition('-')[2]}"
