"""How Gateways and routes are read: attachment, order of rules, references, refusals. No Envoy."""

from typing import Any

import pytest

from flagger.kube.objects import Object
from flagger.sandbox.dataplane.kinds import GATEWAY, GATEWAY_CLASS, GRPC_ROUTE, HTTP_ROUTE
from flagger.sandbox.dataplane.routes import MISSING_CLUSTER, Answer, Forward, Redirect, Rule
from flagger.sandbox.dataplane.translators.gateway.hostnames import common, covers
from tests.sandbox.dataplane.objects import (
    a_backend,
    a_gateway,
    a_listener,
    a_route,
    a_rule,
    a_service,
    mesh_parent,
    meta,
)
from tests.sandbox.dataplane.snapshots import http_listener, status_of, translated
from tests.sandbox.dataplane.world import conditions, parents, reasons

PARENT = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge"}
PRIMARY, CANARY = "shop_checkout-primary_80", "shop_checkout-canary_80"


def rule_to(cluster: str, **match: Any) -> Object:
    """A rule whose backend tells it from the others."""
    name = cluster.removeprefix("shop_").removesuffix("_80")
    return {"matches": [match] if match else [], "backendRefs": [a_backend(name)]}


def clusters_of(rules: tuple[Rule, ...]) -> list[str]:
    return [
        rule.action.targets[0].cluster if isinstance(rule.action, Forward) else type(rule.action).__name__
        for rule in rules
    ]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        pytest.param("", "", "", id="anything"),
        pytest.param("", "a.test", "a.test", id="a listener for all"),
        pytest.param("a.test", "a.test", "a.test", id="equal"),
        pytest.param("*.a.test", "b.a.test", "b.a.test", id="wildcard"),
        pytest.param("*.a.test", "c.b.a.test", "c.b.a.test", id="wildcard, several labels"),
        pytest.param("*.a.test", "a.test", None, id="the wildcard needs a label"),
        pytest.param("*.a.test", "*.b.a.test", "*.b.a.test", id="narrower wildcard"),
        pytest.param("*.a.test", "*.a.test", "*.a.test", id="equal wildcards"),
        pytest.param("a.test", "b.test", None, id="different"),
    ],
)
def test_hostnames_in_common(one: str, other: str, expected: str | None) -> None:
    """Both ways round, a listener and a route share what both stand for."""
    assert common(one, other) == expected
    assert common(other, one) == expected


def test_a_wildcard_does_not_cover_a_longer_label() -> None:
    """Labels are matched whole."""
    assert not covers("*.a.test", "ba.test")


ORDERS = [
    pytest.param({"path": "/"}, {"path": "/a"}, id="longer prefix"),
    pytest.param({"path": "/a"}, {"path": ("Exact", "/a")}, id="exact before prefix"),
    pytest.param({"path": ("RegularExpression", "/a.*")}, {"path": ("Exact", "/a")}, id="exact before regex"),
    pytest.param({"path": "/"}, {"path": "/", "method": "GET"}, id="a method"),
    pytest.param({"path": "/", "headers": ["a"]}, {"path": "/", "headers": ["a", "b"]}, id="more headers"),
    pytest.param(
        {"path": "/", "headers": ["a", "b"]}, {"path": "/", "method": "PUT"}, id="method before headers"
    ),
    pytest.param({"path": "/", "query": ["a"]}, {"path": "/", "headers": ["a"]}, id="headers before query"),
    pytest.param({"path": "/"}, {"path": "/", "query": ["a"]}, id="a query parameter"),
]


def a_match(path: str | tuple[str, str], method: str = "", headers: Any = (), query: Any = ()) -> Object:
    kind, value = path if isinstance(path, tuple) else ("PathPrefix", path)
    match: Object = {"path": {"type": kind, "value": value}}
    match |= {"method": method} if method else {}
    match["headers"] = [{"name": name, "value": "x"} for name in headers]
    match["queryParams"] = [{"name": name, "value": "x"} for name in query]
    return match


@pytest.mark.parametrize(("general", "specific"), ORDERS)
@pytest.mark.parametrize("same_route", [True, False], ids=["one route", "two routes"])
def test_the_more_specific_match_wins(general: Any, specific: Any, *, same_route: bool) -> None:
    """Whichever comes first, and whether the rules are of one route or of two."""
    rules = [rule_to(PRIMARY, **a_match(**general)), rule_to(CANARY, **a_match(**specific))]
    routes = [a_route("a", *rules)] if same_route else [a_route("a", rules[0]), a_route("b", rules[1])]

    (host,) = http_listener(translated(*routes)).hosts

    assert clusters_of(host.rules) == [CANARY, PRIMARY]


def test_of_equal_matches_the_oldest_route_wins() -> None:
    """Then the first by name, then the first rule."""
    old, young, other = (
        a_route(name, rule_to(to)) for name, to in (("z", CANARY), ("a", PRIMARY), ("b", CANARY))
    )
    old["metadata"]["creationTimestamp"] = "2025-01-01T00:00:00Z"

    (host,) = http_listener(translated(other, young, old)).hosts

    assert clusters_of(host.rules) == [CANARY, PRIMARY, CANARY]


def test_the_more_specific_hostname_wins_and_the_other_catches_the_rest() -> None:
    """Rules of a wildcard route apply to a name of its own only after that name's rules."""
    wide = a_route("wide", rule_to(PRIMARY), hostnames=["*.a.test"])
    narrow = a_route("narrow", rule_to(CANARY, path={"type": "Exact", "value": "/x"}), hostnames=["b.a.test"])

    hosts = {host.domains[0]: host for host in http_listener(translated(wide, narrow)).hosts}

    assert list(hosts) == ["b.a.test", "*.a.test", "*"]
    assert clusters_of(hosts["b.a.test"].rules) == [CANARY, PRIMARY]
    assert clusters_of(hosts["*.a.test"].rules) == [PRIMARY]
    assert hosts["*"].rules == ()


def test_a_hostname_belongs_to_its_own_listener() -> None:
    """A route on the listener for all names does not serve a name that another listener has."""
    gateway = a_gateway("edge", a_listener("all"), a_listener("own", hostname="a.test"))
    route = a_route("all", rule_to(PRIMARY), parentRefs=[PARENT | {"sectionName": "all"}])

    hosts = {host.domains[0]: host for host in http_listener(translated(route, gateway=gateway)).hosts}

    assert hosts["a.test"].rules == ()
    assert clusters_of(hosts["*"].rules) == [PRIMARY]


OTHER_NAMESPACE = a_gateway("edge", namespace="gateways")
FROM_TEAM = a_listener(
    allowedRoutes={"namespaces": {"from": "Selector", "selector": {"matchLabels": {"team": "pay"}}}}
)
FROM_OTHERS = a_listener(
    allowedRoutes={
        "namespaces": {
            "from": "Selector",
            "selector": {"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["pay"]}]},
        }
    }
)
ATTACHMENTS = [
    pytest.param(a_gateway(), {}, "Accepted", id="the whole Gateway"),
    pytest.param(a_gateway(), {"sectionName": "http"}, "Accepted", id="section"),
    pytest.param(a_gateway(), {"sectionName": "https"}, "NoMatchingParent", id="no such section"),
    pytest.param(a_gateway(), {"port": 80}, "Accepted", id="port"),
    pytest.param(a_gateway(), {"port": 81}, "NoMatchingParent", id="no such port"),
    pytest.param(
        a_gateway("edge", a_listener(hostname="b.test")), {}, "NoMatchingListenerHostname", id="hostname"
    ),
    pytest.param(
        a_gateway("edge", a_listener(allowedRoutes={"kinds": [{"kind": "GRPCRoute"}]})),
        {},
        "NotAllowedByListeners",
        id="kind",
    ),
    pytest.param(OTHER_NAMESPACE, {"namespace": "gateways"}, "NotAllowedByListeners", id="another namespace"),
    pytest.param(
        a_gateway("edge", a_listener(allowedRoutes={"namespaces": {"from": "All"}}), namespace="gateways"),
        {"namespace": "gateways"},
        "Accepted",
        id="all namespaces",
    ),
    pytest.param(
        a_gateway("edge", FROM_TEAM, namespace="gateways"),
        {"namespace": "gateways"},
        "Accepted",
        id="selected",
    ),
    pytest.param(
        a_gateway("edge", FROM_OTHERS, namespace="gateways"),
        {"namespace": "gateways"},
        "NotAllowedByListeners",
        id="not selected",
    ),
]


@pytest.mark.parametrize(("gateway", "ref", "reason"), ATTACHMENTS)
def test_attaches_where_it_is_allowed(gateway: Object, ref: Object, reason: str) -> None:
    """The Accepted condition has the reason that the Gateway API names."""
    found = translated(a_route(parentRefs=[PARENT | ref], hostnames=["a.test"]), gateway=gateway)

    (parent,) = parents({"status": status_of(found, HTTP_ROUTE, "checkout")})

    assert reasons(parent)["Accepted"] == reason
    assert parent["parentRef"] == PARENT | ref


def test_nobody_is_told_about_a_parent_that_is_not_there() -> None:
    """What another controller said about a route stays."""
    foreign = {"controllerName": "example.com/x", "parentRef": {"name": "x"}, "conditions": []}
    ours = foreign | {"controllerName": "sandbox.flagger.app/gateway"}
    stranger = a_route("a", parentRefs=[PARENT | {"name": "nobody"}])
    left = a_route("b", parentRefs=[]) | {"status": {"parents": [foreign, ours]}}

    found = translated(stranger, left)

    assert not [report for report in found.reports if report.obj["metadata"]["name"] == "a"]
    assert status_of(found, HTTP_ROUTE, "b") == {"parents": [foreign]}


GRANT = {
    "metadata": meta("grant", "other"),
    "spec": {
        "from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "shop"}],
        "to": [{"group": "", "kind": "Service"}],
    },
}
ELSEWHERE = a_service("web") | {"metadata": meta("web", "other")}
REFERENCES = [
    pytest.param(a_backend("checkout-canary"), [], "ResolvedRefs", CANARY, id="there"),
    pytest.param(a_backend("nobody"), [], "BackendNotFound", MISSING_CLUSTER, id="no Service"),
    pytest.param(a_backend("checkout", port=81), [], "BackendNotFound", MISSING_CLUSTER, id="no port"),
    pytest.param(a_backend("x", kind="Bucket"), [], "InvalidKind", MISSING_CLUSTER, id="kind"),
    pytest.param(a_backend("web", namespace="other"), [], "RefNotPermitted", MISSING_CLUSTER, id="no grant"),
    pytest.param(a_backend("web", namespace="other"), [GRANT], "ResolvedRefs", "other_web_80", id="grant"),
]


@pytest.mark.parametrize(("ref", "grants", "reason", "cluster"), REFERENCES)
def test_follows_references(ref: Object, grants: list[Object], reason: str, cluster: str) -> None:
    """A backend that leads nowhere is told in ResolvedRefs, and its share of the requests gets 500."""
    found = translated(a_route("checkout", a_rule(ref)), ReferenceGrant=grants, Service=[ELSEWHERE])

    (parent,) = parents({"status": status_of(found, HTTP_ROUTE, "checkout")})
    (host,) = http_listener(found).hosts

    assert reasons(parent) == {"Accepted": "Accepted", "ResolvedRefs": reason}
    assert clusters_of(host.rules) == [cluster]


PREFIX = {
    "type": "URLRewrite",
    "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}},
}
REFUSED = [
    pytest.param(
        {"filters": [{"type": "ExtensionRef"}]}, "spec.rules[0].filters: the sandbox knows", id="filter"
    ),
    pytest.param(
        {"matches": [{"path": {"type": "RegularExpression", "value": "/("}}]},
        "spec.rules[0].matches.path: '/(' is no regular expression",
        id="regex",
    ),
    pytest.param(
        {"matches": [{"headers": [{"type": "RegularExpression", "name": "a", "value": "(?!x)"}]}]},
        "spec.rules[0].matches.headers: '(?!x)' uses what RE2 does not have",
        id="look-ahead",
    ),
    pytest.param(
        {"matches": [{"path": {"type": "Exact", "value": "/a"}}], "filters": [PREFIX]},
        "spec.rules[0].filters: ReplacePrefixMatch needs a match of type PathPrefix",
        id="prefix rewrite of an exact path",
    ),
    pytest.param(
        {"filters": [{"type": "URLRewrite"}]}, "a rule cannot be read: there is no 'urlRewrite'", id="member"
    ),
    pytest.param(
        {"backendRefs": [a_backend("checkout", filters=[PREFIX])]},
        "spec.rules[0].backendRefs.filters: a backend's filters can change headers only",
        id="rewrite of one backend",
    ),
]


@pytest.mark.parametrize(("rule", "message"), REFUSED)
def test_refuses_what_it_cannot_serve(rule: Object, message: str) -> None:
    """The whole route is refused, with the field; the Gateway goes on without it."""
    found = translated(a_route("checkout", a_rule(**rule)))

    (parent,) = parents({"status": status_of(found, HTTP_ROUTE, "checkout")})
    accepted = parent["conditions"][0]

    assert (accepted["status"], accepted["reason"]) == ("False", "UnsupportedValue")
    assert accepted["message"].startswith(message)
    assert http_listener(found).hosts[0].rules == ()


def test_a_refused_route_is_not_counted() -> None:
    """`attachedRoutes` are those that are served, each once."""
    twice = a_route("twice", hostnames=["a.test", "b.test"])
    refused = a_route("refused", a_rule(filters=[{"type": "ExtensionRef"}]))

    found = translated(twice, refused)

    assert status_of(found, GATEWAY, "edge")["listeners"][0]["attachedRoutes"] == 1


SECTIONS = [
    pytest.param([a_listener()], {}, "Programmed", {}, id="good"),
    pytest.param(
        [a_listener("udp", 53, "UDP")], {}, "Invalid", {"Accepted": "UnsupportedProtocol"}, id="UDP"
    ),
    pytest.param(
        [a_listener("tls", 443, "HTTPS")], {}, "Invalid", {"ResolvedRefs": "InvalidCertificateRef"}, id="TLS"
    ),
    pytest.param(
        [a_listener("a"), a_listener("b")],
        {},
        "Programmed",
        {"Conflicted": "HostnameConflict"},
        id="same hostname",
    ),
    pytest.param(
        [a_listener("a"), a_listener("b", protocol="TCP")],
        {},
        "Programmed",
        {"Accepted": "UnsupportedProtocol", "Conflicted": "ProtocolConflict"},
        id="same port",
    ),
    pytest.param([a_listener()], {"gateway_addresses": {}}, "AddressNotAssigned", {}, id="no address"),
    pytest.param(
        [a_listener()],
        {"broken": {"gateway_shop_edge_80": "taken"}},
        "Invalid",
        {"Programmed": "Invalid"},
        id="taken",
    ),
]


@pytest.mark.parametrize(("listeners", "site", "programmed", "last"), SECTIONS)
def test_tells_gateways_what_is_served(
    listeners: list[Object], site: dict[str, Any], programmed: str, last: dict[str, str]
) -> None:
    """Each listener has its own conditions; the Gateway is programmed if something is served."""
    found = status_of(translated(gateway=a_gateway("edge", *listeners), site=site), GATEWAY, "edge")

    assert reasons(found)["Programmed"] == programmed
    told = reasons(found["listeners"][-1])
    assert {name: told[name] for name in last} == last


def test_any_class_is_served_and_ours_is_accepted() -> None:
    """Manifests written for another controller run; the status of their class is not ours to write."""
    ours = {"metadata": meta("sandbox", None), "spec": {"controllerName": "sandbox.flagger.app/gateway"}}
    other = {"metadata": meta("istio", None), "spec": {"controllerName": "istio.io/gateway-controller"}}

    found = translated(a_route(), GatewayClass=[ours, other])

    assert conditions(status_of(found, GATEWAY_CLASS, "sandbox")) == {"Accepted": "True"}
    assert not [report for report in found.reports if report.obj is other]
    assert conditions(status_of(found, GATEWAY, "edge"))["Programmed"] == "True"


def test_mesh_routes_set_the_rules_of_the_service() -> None:
    """Only of the port named, only for its own namespace."""
    mesh = a_route("a", rule_to(CANARY), parentRefs=[mesh_parent()])
    stranger = a_route("b", rule_to(CANARY), parentRefs=[mesh_parent() | {"namespace": "other"}])
    no_port = a_route("c", rule_to(CANARY), parentRefs=[mesh_parent() | {"port": 81}])

    found = translated(mesh, stranger, no_port)

    assert {name: clusters_of(rules) for name, rules in found.mesh.items()} == {
        "service_shop_checkout_80": [CANARY]
    }
    said = {name: parents({"status": status_of(found, HTTP_ROUTE, name)})[0] for name in "abc"}
    assert {name: reasons(parent)["Accepted"] for name, parent in said.items()} == {
        "a": "Accepted",
        "b": "NotAllowedByListeners",
        "c": "NoMatchingParent",
    }


GRPC = [
    pytest.param({"service": "a.B", "method": "C"}, "exact", "/a.B/C", id="both"),
    pytest.param({"service": "a.B"}, "prefix", "/a.B", id="service"),
    pytest.param({"method": "C"}, "regex", "/[^/]+/C", id="method"),
    pytest.param(
        {"type": "RegularExpression", "service": "a.*", "method": "C"}, "regex", "/a.*/C", id="regex"
    ),
    pytest.param({}, "prefix", "/", id="everything"),
]


@pytest.mark.parametrize(("method", "kind", "path"), GRPC)
def test_grpc_methods_are_paths(method: Object, kind: str, path: str) -> None:
    """A GRPCRoute is the HTTPRoute that it amounts to."""
    route = a_route("rpc", {"matches": [{"method": method}], "backendRefs": [a_backend("checkout")]})

    found = translated(GRPCRoute=[route])

    ((rule,),) = (host.rules for host in http_listener(found).hosts)
    assert (rule.match.path.kind, rule.match.path.value) == (kind, path)
    assert conditions(parents({"status": status_of(found, GRPC_ROUTE, "rpc")})[0])["Accepted"] == "True"


def test_a_redirect_needs_no_backend() -> None:
    """While a rule without any backend and redirect answers 500."""
    redirect = {"type": "RequestRedirect", "requestRedirect": {"scheme": "https"}}
    route = a_route("a", {"filters": [redirect]}, {"matches": [{"path": {"value": "/none"}}]})

    (host,) = http_listener(translated(route)).hosts

    none, redirected = host.rules
    assert redirected.action == Redirect(scheme="https")
    assert none.action == Forward(targets=())
    assert not isinstance(none.action, Answer)
