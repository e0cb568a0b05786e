"""What VirtualServices and Istio Gateways amount to, without an Envoy."""

from collections.abc import Iterable
from typing import Any

import pytest

from flagger.kube.objects import SERVICE, Object
from flagger.sandbox.dataplane.kinds import ISTIO_GATEWAY, VIRTUAL_SERVICE
from flagger.sandbox.dataplane.plan import plan_for
from flagger.sandbox.dataplane.routes import MISSING_CLUSTER, Forward, Rule, Target, TcpListener
from flagger.sandbox.dataplane.translators.base import Contribution
from flagger.sandbox.dataplane.translators.istio.translator import Istio
from tests.sandbox.dataplane.objects import CREATED, a_service, meta
from tests.sandbox.dataplane.snapshots import RELEASE, a_snapshot

MESH = "service_shop_checkout_80"
DOOR = "service_istio-system_entrance_80"


def a_door(**changes: Any) -> Object:
    door = a_service("entrance", app=None, clusterIP="127.96.1.9")
    labels = {"sandbox.flagger.app/ingress": "istio"}
    return {**door, "metadata": meta("entrance", "istio-system", labels=labels)} | changes


def a_gateway(*hosts: str, number: int = 80, protocol: str = "HTTP") -> Object:
    server = {"port": {"number": number, "name": "http", "protocol": protocol}, "hosts": list(hosts or "*")}
    return {"metadata": meta("public", "istio-system"), "spec": {"servers": [server]}}


def a_virtual_service(*routes: Object, name: str = "checkout", age: str = CREATED, **spec: Any) -> Object:
    body = {"hosts": ["checkout"], "http": list(routes) or [to("primary")]} | spec
    return {"metadata": meta(name, creationTimestamp=age, generation=3), "spec": body}


def to(*sides: str, **more: Any) -> Object:
    """A route to one side, or to both with weights 60 and 40."""
    weights = [None] if len(sides) == 1 else [60, 40]
    entries = [
        {"destination": {"host": f"checkout-{side}"}} | ({"weight": weight} if weight else {})
        for side, weight in zip(sides, weights, strict=True)
    ]
    return {"route": entries} | more


def seen(*services: Object, gateway: Object | None = None, more: Iterable[Object] = RELEASE) -> Contribution:
    """What the translator makes of VirtualServices beside a release and a front door."""
    return Istio().translate(world(*services, gateway=gateway, more=more))


def world(*services: Object, gateway: Object | None = None, more: Iterable[Object] = RELEASE) -> Any:
    return a_snapshot(
        {
            SERVICE: [*more, a_door()],
            VIRTUAL_SERVICE: list(services),
            ISTIO_GATEWAY: [gateway or a_gateway()],
        }
    )


def clusters(rules: Iterable[Rule]) -> list[list[tuple[str, int]]]:
    """Where each rule leads, with weights."""
    return [
        [
            (target.cluster.removeprefix("shop_checkout-").removesuffix("_80"), target.weight)
            for target in targets
        ]
        for targets in (rule.action.targets for rule in rules if isinstance(rule.action, Forward))
    ]


def told(found: Contribution, name: str = "checkout") -> str:
    """What a VirtualService is told of itself."""
    return next(
        (
            report.status["conditions"][0]["message"]
            for report in found.reports
            if report.obj["metadata"]["name"] == name
        ),
        "",
    )


@pytest.mark.parametrize(
    ("host", "served"),
    [
        ("checkout", True),
        ("checkout.shop", True),
        ("checkout.shop.svc", True),
        ("checkout.shop.svc.cluster.local", True),
        ("checkout.other", False),
        ("checkout.example.com", False),
        ("*", False),
    ],
)
def test_hosts_in_the_mesh(host: str, served: bool) -> None:
    """A Service by any of its names has the routes at its own address."""
    found = seen(a_virtual_service(hosts=[host]))

    assert (found.mesh.keys() == {MESH}) == served


@pytest.mark.parametrize(
    ("gateways", "mesh", "door"),
    [
        (None, True, False),
        (["mesh"], True, False),
        (["istio-system/public"], False, True),
        (["istio-system/public", "mesh"], True, True),
        (["public"], False, False),
    ],
)
def test_gateways(gateways: list[str] | None, mesh: bool, door: bool) -> None:
    """Without any, a VirtualService is for the mesh; a bare name is one of its own namespace."""
    spec = {} if gateways is None else {"gateways": gateways}
    found = seen(a_virtual_service(hosts=["checkout", "a.test"], **spec))

    assert (MESH in found.mesh, bool(found.fronts[DOOR])) == (mesh, door)


@pytest.mark.parametrize(
    ("offered", "hosts", "served"),
    [
        (["*"], ["a.test"], ["a.test"]),
        (["*"], ["checkout"], ["checkout.shop.svc.cluster.local"]),
        (["*.test"], ["a.test", "b.example"], ["a.test"]),
        (["a.test"], ["*.test"], ["a.test"]),
        (["shop/*"], ["a.test"], ["a.test"]),
        (["other/*"], ["a.test"], []),
        (["./*"], ["a.test"], []),
        (["*"], ["*"], ["*"]),
    ],
)
def test_hosts_behind_a_gateway(offered: list[str], hosts: list[str], served: list[str]) -> None:
    """Those that both the server and the VirtualService have."""
    service = a_virtual_service(hosts=hosts, gateways=["istio-system/public"])

    found = seen(service, gateway=a_gateway(*offered))

    assert [host.domains[0] for host in found.fronts[DOOR]] == served


@pytest.mark.parametrize(
    ("gateway", "served"),
    [
        (a_gateway(), True),
        (a_gateway(number=8080), True),
        (a_gateway(number=81), False),
        (a_gateway(protocol="HTTPS"), False),
    ],
    ids=["port", "target port", "another port", "TLS"],
)
def test_servers_at_a_front_door(gateway: Object, served: bool) -> None:
    """A server is found at the door's port or at the port of the pods that it would have."""
    found = seen(a_virtual_service(hosts=["a.test"], gateways=["istio-system/public"]), gateway=gateway)

    assert bool(found.fronts.get(DOOR)) == served


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        pytest.param(to("primary", "canary"), [[("primary", 60), ("canary", 40)]], id="weights"),
        pytest.param(to("canary"), [[("canary", 1)]], id="a lone destination"),
        pytest.param(to("nobody"), [[(MISSING_CLUSTER, 1)]], id="no such Service"),
        pytest.param(to("canary", match=[{"port": 80}, {"port": 81}]), [[("canary", 1)]], id="another port"),
        pytest.param(to("canary", match=[{"gateways": ["a/b"]}]), [], id="another gateway"),
        pytest.param(to("canary", match=[{"gateways": ["mesh"]}]), [[("canary", 1)]], id="this gateway"),
        pytest.param(to("canary", match=[{"sourceLabels": {"a": "b"}}]), [], id="who asks is not known"),
    ],
)
def test_routes(route: Object, expected: list[list[tuple[str, int]]]) -> None:
    """Where requests go, and which conditions can hold."""
    assert clusters(seen(a_virtual_service(route)).mesh[MESH]) == expected


def test_a_port_of_several() -> None:
    """A destination without port is the one that was asked for."""
    ports = [{"name": "http", "port": 80}, {"name": "http-admin", "port": 81}]
    more = [{**one, "spec": {**one["spec"], "ports": ports}} for one in RELEASE]
    named = to("canary")
    named["route"][0]["destination"]["port"] = {"number": 81}

    found = seen(a_virtual_service(to("primary"), named), more=more).mesh

    asked = [[target.cluster for target in rule.action.targets] for rule in found["service_shop_checkout_81"]]  # type: ignore[union-attr]
    assert asked == [["shop_checkout-primary_81"], ["shop_checkout-canary_81"]]


def test_the_oldest_has_a_service() -> None:
    """Another one for the same Service is told, and changes nothing."""
    younger = a_virtual_service(to("canary"), name="a", age="2027-01-01T00:00:00Z")

    found = seen(younger, a_virtual_service())

    assert clusters(found.mesh[MESH]) == [[("primary", 1)]]
    assert told(found, "a") == "spec.hosts: an older VirtualService has Service shop/checkout already"


def test_connections_are_divided() -> None:
    """A Service that doesn't say that it speaks HTTP is divided by TCP routes, and only by those."""
    streams = [
        a_service(name, app=name, port_name="tcp", clusterIP=f"127.96.1.{n}")
        for n, name in enumerate(("checkout", "checkout-primary", "checkout-canary"), 1)
    ]
    routes = [to("canary", match=[{"port": 81}]), to("primary", "canary", match=[{"port": 80}])]

    outcome = plan_for(world(a_virtual_service(http=[to("canary")], tcp=routes), more=streams))

    listener = next(each for each in outcome.plan.listeners if each.name == MESH)
    assert isinstance(listener, TcpListener)
    assert listener.targets == (Target("shop_checkout-primary_80", 60), Target("shop_checkout-canary_80", 40))


def delegate(**changes: Any) -> Object:
    return a_virtual_service(to("canary"), name="inner", **({"hosts": []} | changes))


@pytest.mark.parametrize(
    ("inner", "expected", "message"),
    [
        pytest.param([delegate()], [[("canary", 1)], [("primary", 1)]], "", id="there"),
        pytest.param(
            [],
            [[("primary", 1)]],
            "spec.http[0] is left out: delegate: VirtualService shop/inner is missing",
            id="missing",
        ),
        pytest.param(
            [delegate(hosts=["a.test"])],
            [[("primary", 1)]],
            "spec.http[0] is left out: delegate: VirtualService shop/inner has hosts of its own",
            id="no delegate",
        ),
    ],
)
def test_delegates(inner: list[Object], expected: list[list[tuple[str, int]]], message: str) -> None:
    """The routes of a delegate take the place of the root's; one that is none is told."""
    root = a_virtual_service({"delegate": {"name": "inner"}}, to("primary"))

    found = seen(root, *inner)

    assert clusters(found.mesh[MESH]) == expected
    assert told(found).startswith(message)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"tls": [{"match": [{"sniHosts": ["a"]}]}]}, "spec.tls is not served"),
        (
            {"http": [to("canary", match=[{"sourceLabels": {"a": "b"}}])]},
            "spec.http[0].match[0].sourceLabels never",
        ),
        ({"http": [to("canary", retries={"backoff": "1s"})]}, "spec.http[0].retries.backoff is left out"),
        (
            {"http": [to("canary", match=[{"uri": {"regex": "("}}])]},
            "spec.http[0] is left out: match.uri.regex",
        ),
        ({"http": [to("canary", timeout="soon")]}, "spec.http[0] is left out: "),
    ],
)
def test_what_is_not_served_is_told(spec: Object, message: str) -> None:
    """The status of the VirtualService says so; a route with a mistake is left out, and the others work."""
    found = seen(a_virtual_service(**spec))

    assert told(found).startswith(message)
    (report,) = found.reports
    assert (
        report.status["conditions"][0].items()
        >= {
            "type": "Reconciled",
            "status": "False",
            "observedGeneration": 3,
        }.items()
    )


def test_a_status_is_put_right() -> None:
    """What works is not talked about, unless it was."""
    fine = a_virtual_service()

    assert seen(fine).reports == ()
    (report,) = seen({**fine, "status": {"conditions": [{"type": "Reconciled", "status": "False"}]}}).reports
    assert report.status["conditions"][0]["status"] == "True"
