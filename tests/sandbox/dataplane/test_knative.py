"""How Knative's shares of traffic are served."""

from typing import Any

import pytest

from flagger.kube.objects import POD, SERVICE, Object
from flagger.sandbox.dataplane.plan import plan_for
from flagger.sandbox.dataplane.routes import MISSING_CLUSTER, HttpListener, TcpListener
from flagger.sandbox.dataplane.snapshot import Snapshot
from flagger.sandbox.dataplane.translators.knative import KNATIVE_SERVICE
from tests.sandbox.dataplane.objects import a_service, meta
from tests.sandbox.dataplane.snapshots import a_site

ENTRANCE = a_service("catalog", app="nobody", clusterIP="127.96.1.1")
REVISIONS = (a_service("catalog-00001", app="one"), a_service("catalog-00002", app="two"))


def seen(*services: Object, **status: Any) -> Snapshot:
    knative = {"metadata": meta("catalog"), "status": status}
    return Snapshot(a_site(), {SERVICE: list(services), POD: [], KNATIVE_SERVICE: [knative]})


def share(revision: str, percent: int | None, **more: Any) -> Object:
    return {"revisionName": revision, **more} | ({} if percent is None else {"percent": percent})


@pytest.mark.parametrize(
    ("traffic", "expected"),
    [
        pytest.param(
            [share("catalog-00002", 30, latestRevision=True), share("catalog-00001", 70)],
            [("shop_catalog-00002_80", 30), ("shop_catalog-00001_80", 70)],
            id="two shares",
        ),
        pytest.param(
            [share("catalog-00002", 0, latestRevision=True), share("catalog-00001", 100)],
            [("shop_catalog-00001_80", 100)],
            id="one has nothing",
        ),
        pytest.param(
            [share("catalog-00001", 100), share("catalog-00002", None, tag="next")],
            [("shop_catalog-00001_80", 100)],
            id="a tag",
        ),
        pytest.param([share("catalog-00009", 100)], [(MISSING_CLUSTER, 100)], id="a revision that is gone"),
    ],
)
def test_shares(traffic: list[Object], expected: list[tuple[str, int]]) -> None:
    """What Knative reports is what is served at the Service's address."""
    (listener,) = plan_for(seen(ENTRANCE, *REVISIONS, traffic=traffic)).plan.listeners

    assert isinstance(listener, HttpListener)
    (rule,) = listener.hosts[0].rules
    assert [(target.cluster, target.weight) for target in rule.action.targets] == expected  # type: ignore[union-attr]


@pytest.mark.parametrize("status", [{}, {"traffic": []}], ids=str)
def test_nothing_is_said_yet(status: dict[str, Any]) -> None:
    """The Service is what it is without Knative."""
    (listener,) = plan_for(seen(ENTRANCE, *REVISIONS, **status)).plan.listeners

    assert isinstance(listener, (TcpListener, HttpListener))
    assert not isinstance(listener, HttpListener) or listener.hosts[0].rules[0].action.targets[0].cluster == (  # type: ignore[union-attr]
        "shop_catalog_80"
    )


def test_no_entrance() -> None:
    """Without a Service of its name nobody can come."""
    assert plan_for(seen(*REVISIONS, traffic=[share("catalog-00001", 100)])).plan.listeners == ()
