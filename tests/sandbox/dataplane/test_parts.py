"""The small pure parts: endpoints, addresses, the proxy's names, selectors, statuses, the site."""

from datetime import UTC, datetime
from typing import Any

import pytest

from flagger.kube.objects import ENDPOINT_SLICE, ENDPOINTS, POD, SERVICE, Object
from flagger.sandbox.dataplane.addresses import assign, proxy_address
from flagger.sandbox.dataplane.emit import resources
from flagger.sandbox.dataplane.emit_routes import path_rewrite
from flagger.sandbox.dataplane.endpoints import ANNOTATION, endpoints_of
from flagger.sandbox.dataplane.plan import plan_for
from flagger.sandbox.dataplane.routes import Endpoint, HttpListener, PathRewrite, TcpListener
from flagger.sandbox.dataplane.selectors import selects
from flagger.sandbox.dataplane.status import timed
from flagger.sandbox.dataplane.translators.services import Services, protocol_of
from tests.sandbox.dataplane.objects import a_gateway, a_pod, a_service, meta
from tests.sandbox.dataplane.snapshots import CIDR, a_site, a_snapshot

POD_1 = a_pod("web-1", "127.128.0.1", app="web", ports={"main": 8080})
STARTING = a_pod("web-2", "127.128.0.2", app="web", ready=False)
GOING = a_pod("web-3", "127.128.0.3", app="web")
GOING["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
DONE = a_pod("web-4", "127.128.0.4", app="web")
DONE["status"]["phase"] = "Succeeded"
NEIGHBOUR = a_pod("web-5", "127.128.0.5", app="web")
NEIGHBOUR["metadata"]["namespace"] = "other"
ALL_PODS = [POD_1, STARTING, GOING, DONE, NEIGHBOUR]
SLICE = {
    "metadata": meta("web-x", labels={"kubernetes.io/service-name": "web"}),
    "endpoints": [
        {"addresses": ["127.0.0.7"]},
        {"addresses": ["127.0.0.8"], "conditions": {"ready": False}},
    ],
    "ports": [{"name": "http", "port": 9090}, {"name": "other", "port": 9091}],
}
SUBSETS = {
    "metadata": meta("web"),
    "subsets": [{"addresses": [{"ip": "127.0.0.9"}], "ports": [{"name": "http", "port": 9090}]}],
}


def annotated(text: str) -> Object:
    """A Service without a selector whose endpoints an API server would not take."""
    service = a_service("web", app=None)
    service["metadata"]["annotations"] = {"sandbox.flagger.app/endpoints": text}
    return service


NOTED = a_service("web", app=None)
NOTED["metadata"]["annotations"] = {ANNOTATION: "127.0.0.6:82, 127.0.0.5:81,nonsense"}
FOUND = [
    pytest.param(a_service("web"), [], ["127.128.0.1:8080"], id="ready pods only"),
    pytest.param(a_service("web", target="main"), [], ["127.128.0.1:8080"], id="named port"),
    pytest.param(a_service("web", target="other"), [], [], id="a name that no pod has"),
    pytest.param(
        a_service("web", publishNotReadyAddresses=True),
        [],
        ["127.128.0.1:8080", "127.128.0.2:8080"],
        id="unready ones too",
    ),
    pytest.param(a_service("web", app=None), [(ENDPOINT_SLICE, SLICE)], ["127.0.0.7:9090"], id="slices"),
    pytest.param(a_service("web", app=None), [(ENDPOINTS, SUBSETS)], ["127.0.0.9:9090"], id="Endpoints"),
    pytest.param(
        a_service("web", app=None),
        [(ENDPOINTS, SUBSETS), (ENDPOINT_SLICE, SLICE)],
        ["127.0.0.7:9090"],
        id="both",
    ),
    pytest.param(a_service("web"), [(ENDPOINTS, SUBSETS)], ["127.128.0.1:8080"], id="the selector counts"),
    pytest.param(NOTED, [(ENDPOINTS, SUBSETS)], ["127.0.0.5:81", "127.0.0.6:82"], id="a note counts more"),
    pytest.param(
        annotated("127.0.0.1:9, 127.0.0.2:8,nonsense"),
        [(ENDPOINTS, SUBSETS)],
        ["127.0.0.1:9", "127.0.0.2:8"],
        id="annotation",
    ),
]


@pytest.mark.parametrize(("service", "more", "expected"), FOUND)
def test_finds_endpoints(service: Object, more: list[tuple[Any, Object]], expected: list[str]) -> None:
    """A Service leads to the pods that may get requests now, or to what was written for it."""
    objects = {POD: ALL_PODS, SERVICE: [service]} | {kind: [obj] for kind, obj in more}

    found = endpoints_of(service, service["spec"]["ports"][0], a_snapshot(objects))

    assert [f"{endpoint.address}:{endpoint.port}" for endpoint in found] == expected


def test_endpoints_have_an_order() -> None:
    """The same pods give the same configuration, in whatever order they are listed."""
    pods = [a_pod(f"web-{n}", f"127.128.0.{n}", app="web") for n in (3, 1, 2)]
    service = a_service("web")

    found = endpoints_of(service, service["spec"]["ports"][0], a_snapshot({POD: pods}))

    assert found == tuple(Endpoint(f"127.128.0.{n}", 8080) for n in (1, 2, 3))


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        ({"name": "http"}, "http"),
        ({"name": "http-metrics"}, "http"),
        ({"name": "http2"}, "http2"),
        ({"name": "grpc-web"}, "grpc-web"),
        ({"name": "grpc-api"}, "grpc"),
        ({"name": "https"}, "https"),
        ({"name": "redis"}, "redis"),
        ({}, ""),
        ({"name": "http", "appProtocol": "kubernetes.io/h2c"}, "kubernetes.io/h2c"),
        ({"name": "x", "appProtocol": "HTTP"}, "http"),
    ],
)
def test_reads_protocols(port: Object, expected: str) -> None:
    """The appProtocol counts before the name, the whole name before its first word."""
    assert protocol_of(port) == expected


def test_services_of_foreign_addresses_are_backends_only() -> None:
    """Only addresses of our range can be listened on."""
    foreign = a_service("a", clusterIP="10.96.0.1")
    headless = a_service("b", clusterIP="None")

    found = Services().translate(a_snapshot({SERVICE: [foreign, headless]}))

    assert found.listeners == ()
    assert [cluster.name for cluster in found.clusters] == ["shop_a_80", "shop_b_80"]


def test_two_listeners_never_share_a_port() -> None:
    """Of 80, moved to 18080, and a real 18080 the first one is served; Envoy could not bind the other."""
    service = a_service("web", clusterIP="127.96.1.1")
    service["spec"]["ports"].append({"name": "http-2", "port": 18080, "protocol": "TCP"})

    plan = plan_for(a_snapshot({SERVICE: [service]}, low_ports=False)).plan

    assert [(each.port, each.bound) for each in plan.listeners] == [(80, 18080)]


ADDRESSES = [
    pytest.param([a_gateway("a"), a_gateway("b")], [], {}, ["253", "252"], id="from the end"),
    pytest.param([a_gateway("a")], ["127.96.0.253"], {}, ["252"], id="around Services"),
    pytest.param(
        [a_gateway("a"), a_gateway("b")], [], {"shop/b": "127.96.0.253"}, ["252", "253"], id="as remembered"
    ),
    pytest.param(
        [a_gateway("a", addresses=[{"type": "IPAddress", "value": "127.96.0.9"}])],
        [],
        {},
        ["9"],
        id="as wished",
    ),
    pytest.param(
        [a_gateway("a", addresses=[{"type": "IPAddress", "value": "10.0.0.1"}])],
        [],
        {},
        ["253"],
        id="not ours",
    ),
    pytest.param(
        [a_gateway("a") | {"status": {"addresses": [{"type": "IPAddress", "value": "127.96.0.7"}]}}],
        [],
        {},
        ["7"],
        id="as before a restart",
    ),
    pytest.param(
        [a_gateway("a", addresses=[{"value": "127.96.0.254"}])], [], {}, ["253"], id="not the proxy's own"
    ),
]


@pytest.mark.parametrize(("gateways", "taken", "remembered", "expected"), ADDRESSES)
def test_gives_gateways_addresses(
    gateways: list[Object], taken: list[str], remembered: dict[str, str], expected: list[str]
) -> None:
    """Each Gateway keeps its address, gets the one it wishes for, or a free one."""
    found = assign(gateways, CIDR, taken, remembered)

    assert [address.rpartition(".")[2] for _, address in sorted(found.items())] == expected
    assert proxy_address(CIDR) == "127.96.0.254"


def test_the_proxy_knows_services_by_all_their_names() -> None:
    """HTTP ports keep their rules, others are tried as HTTP; bare names only where they are unambiguous."""
    web = a_service("web", clusterIP="127.96.1.1")
    twin = a_service("web", clusterIP="127.96.1.2") | {"metadata": meta("web", "other")}
    cache = a_service("cache", port=6379, port_name="redis", clusterIP="127.96.1.3")
    plan = plan_for(a_snapshot({SERVICE: [web, twin, cache]}, proxy=("127.96.0.254", 3128))).plan

    proxy = plan.listeners[-1]

    assert isinstance(proxy, HttpListener)
    assert isinstance(plan.listeners[1], TcpListener)
    domains = [domain for host in proxy.hosts for domain in host.domains]
    assert {"web.shop", "web.shop.svc:80", "web.other.svc.cluster.local", "127.96.1.1", "cache:6379"} <= set(
        domains
    )
    assert not {"web", "web:80", "cache"} & set(domains)
    assert len(domains) == len(set(domains))
    assert not proxy.any_port


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({}, True),
        ({"matchLabels": {"a": "1"}}, True),
        ({"matchLabels": {"a": "2"}}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, False),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, False),
        ({"matchExpressions": [{"key": "b", "operator": "NotIn", "values": ["1"]}]}, True),
    ],
    ids=str,
)
def test_selects_labels(selector: Object, *, expected: bool) -> None:
    """Label selectors mean what they mean elsewhere."""
    assert selects(selector, {"a": "1"}) is expected


NOW = datetime(2026, 1, 2, tzinfo=UTC)
BEFORE = "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("old", "expected"),
    [
        pytest.param([], "2026-01-02T00:00:00Z", id="new"),
        pytest.param([{"type": "A", "status": "True", "lastTransitionTime": BEFORE}], BEFORE, id="unchanged"),
        pytest.param(
            [{"type": "A", "status": "False", "lastTransitionTime": BEFORE}],
            "2026-01-02T00:00:00Z",
            id="turned",
        ),
        pytest.param(
            [
                {"type": "B", "status": "False", "lastTransitionTime": "2025-01-01T00:00:00Z"},
                {"type": "A", "status": "True", "reason": "X", "lastTransitionTime": BEFORE},
            ],
            BEFORE,
            id="another place, another reason",
        ),
    ],
)
def test_transition_times_move_on_transitions(old: list[Object], expected: str) -> None:
    """At any depth of a status."""
    condition = {"type": "A", "status": "True", "reason": "A"}
    status = {"listeners": [{"name": "http", "conditions": [condition]}]}

    found = timed(status, {"listeners": [{"name": "http", "conditions": old}]}, NOW)

    assert found == {
        "listeners": [{"name": "http", "conditions": [condition | {"lastTransitionTime": expected}]}]
    }


REWRITES = [
    (PathRewrite("/xyz", "/foo"), "^/foo", "/xyz"),
    (PathRewrite("/xyz/", "/foo/"), "^/foo", "/xyz"),
    (PathRewrite("", "/foo"), "^/foo/*", "/"),
    (PathRewrite("/", "/foo"), "^/foo/*", "/"),
    (PathRewrite("/xyz", "/"), "^", "/xyz"),
    (PathRewrite("/a", "/a.b"), r"^/a\.b", "/a"),
    (PathRewrite(r"/\1"), "^.*$", r"/\\1"),
]


@pytest.mark.parametrize(("rewrite", "pattern", "substitution"), REWRITES, ids=str)
def test_rewrites_paths(rewrite: PathRewrite, pattern: str, substitution: str) -> None:
    """By the Gateway API's table: slashes at the end of either part mean nothing."""
    assert path_rewrite(rewrite) == {"pattern": {"regex": pattern}, "substitution": substitution}


def test_says_where_low_ports_went() -> None:
    """Ports from 1024 on stay where they are."""
    assert [a_site(low_ports=False).bound_port(port) for port in (80, 443, 1024)] == [18080, 18443, 1024]
    assert a_site().bound_port(80) == 80


def test_writes_an_access_log_on_request() -> None:
    """Off unless asked for, as it grows without limit."""
    plan = plan_for(a_snapshot({SERVICE: [a_service("web", clusterIP="127.96.1.1")]})).plan

    silent, chatty = (str(resources(plan, log).listeners) for log in ("", "/log/access.log"))

    assert "access_log" not in silent
    assert "'path': '/log/access.log'" in chatty
