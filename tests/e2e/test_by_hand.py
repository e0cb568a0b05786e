"""What people do by hand, with kubectl."""

import asyncio
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.e2e.manifests import IMAGE, a_canary, a_deployment
from tests.e2e.stage import Stage, eventually

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.kubectl,
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl on PATH"),
]


async def kubectl(stage: Stage, *words: str) -> str:
    """Run kubectl in the stage's namespace; returns what it printed."""
    command = [
        "kubectl",
        f"--kubeconfig={stage.sandbox.kubeconfig}",
        f"--namespace={stage.namespace}",
        *words,
    ]
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, ""), f"kubectl {' '.join(words)}"
    return done.stdout


async def test_set_image_drives_a_rollout_to_promotion(stage: Stage, tmp_path: Path) -> None:
    """`kubectl apply`, `kubectl set image`, and `kubectl get canaries -w` shows each step in its columns."""
    manifests = tmp_path / "app.yaml"
    manifests.write_text(yaml.safe_dump_all([a_deployment("app"), a_canary("app")]))
    assert await kubectl(stage, "apply", "-f", str(manifests)) == (
        "deployment.apps/app created\ncanary.flagger.app/app created\n"
    )
    assert "condition met" in await kubectl(
        stage, "wait", "canary/app", "--for=condition=Promoted", "--timeout=30s"
    )
    with watching(stage, tmp_path / "watch") as lines:
        await eventually(lambda: len(lines()) > 1, "kubectl shows the Canary")
        words = await kubectl(stage, "set", "image", "deployment/app", f"podinfo={IMAGE}:1.1.0")
        assert words == "deployment.apps/app image updated\n"
        await eventually(lambda: any("Succeeded" in line for line in lines()), "kubectl shows the promotion")

    head, *rows = [line.split() for line in lines()]
    assert head == ["NAME", "STATUS", "WEIGHT", "LASTTRANSITIONTIME"]
    seen = list(dict.fromkeys(tuple(row[:3]) for row in rows))
    assert seen == [
        ("app", "Initialized", "0"),
        ("app", "Progressing", "0"),
        ("app", "Progressing", "20"),
        ("app", "Progressing", "50"),
        ("app", "Promoting", "50"),
        ("app", "Finalising", "0"),
        ("app", "Succeeded", "0"),
    ]
    wide = await kubectl(stage, "get", "canaries", "-o", "wide")
    assert wide.splitlines()[0].split()[:3] == ["NAME", "STATUS", "WEIGHT"]
    described = await kubectl(stage, "describe", "canary", "app")
    assert "Promotion completed! Scaling down app" in described
    image = "jsonpath={.spec.template.spec.containers[0].image}"
    assert await kubectl(stage, "get", "deployment", "app-primary", "-o", image) == f"{IMAGE}:1.1.0"


@contextmanager
def watching(stage: Stage, output: Path) -> Iterator[Callable[[], list[str]]]:
    """`kubectl get canaries -w` for the length of a block; gives a function that returns its lines so far."""
    config, namespace = f"--kubeconfig={stage.sandbox.kubeconfig}", f"--namespace={stage.namespace}"
    with output.open("wb") as out:
        process = subprocess.Popen(
            ["kubectl", config, namespace, "get", "canaries", "-w"], stdout=out, stdin=subprocess.DEVNULL
        )
    try:
        yield lambda: output.read_text().splitlines()
    finally:
        process.terminate()
        process.wait(10)
