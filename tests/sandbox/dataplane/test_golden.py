"""What Envoy gets: `golden/<case>.yaml` holds the objects, `golden/<case>.envoy.yaml` the resources.

With UPDATE_GOLDEN=1 in the environment the resources are written instead of compared.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from flagger.kube.objects import Kind, Object
from flagger.sandbox.dataplane.emit import resources
from flagger.sandbox.dataplane.emit_routes import SHARED
from flagger.sandbox.dataplane.plan import plan_for
from tests.sandbox.dataplane.snapshots import KINDS, a_snapshot

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(path.stem for path in GOLDEN.glob("*.yaml") if not path.name.endswith(".envoy.yaml"))


def objects_of(case: str) -> dict[Kind, list[Object]]:
    found: dict[Kind, list[Object]] = {}
    kinds = {kind.kind: kind for kind in KINDS}
    for obj in yaml.safe_load_all((GOLDEN / f"{case}.yaml").read_text()):
        found.setdefault(kinds[obj["kind"]], []).append(obj)
    return found


def emitted(case: str) -> Object:
    """All resources of a case of Services, of others the routes alone: the rest is the same everywhere."""
    plan = plan_for(a_snapshot(objects_of(case))).plan
    found = resources(plan)
    if case.startswith("services"):
        return {part: dict(getattr(found, part)) for part in ("clusters", "routes", "listeners")}
    return {name: route for name, route in found.routes.items() if name != SHARED or "mesh" in case}


@pytest.mark.parametrize("case", CASES)
def test_emits_the_golden_resources(case: str) -> None:
    """The same objects give the same resources."""
    golden = GOLDEN / f"{case}.envoy.yaml"
    found = emitted(case)
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(yaml.dump(found, Dumper=Plain, sort_keys=False, width=120))

    assert found == yaml.safe_load(golden.read_text())


def test_every_golden_has_its_objects() -> None:
    """No golden file is left over."""
    assert {path.name for path in GOLDEN.iterdir()} == set(_names())


def _names() -> Iterator[str]:
    for case in CASES:
        yield from (f"{case}.yaml", f"{case}.envoy.yaml")


class Plain(yaml.SafeDumper):
    """Writes shared values out each time."""

    def ignore_aliases(self, data: object) -> bool:
        return True
