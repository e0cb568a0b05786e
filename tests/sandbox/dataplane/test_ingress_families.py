"""What is peculiar to reading HTTPProxies, Gloo's objects and Ingresses; what they serve is in the golden files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from flagger.kube.objects import INGRESS, SERVICE, Kind, Object
from flagger.sandbox.dataplane.kinds import GLOO_ROUTE_TABLE, GLOO_VIRTUAL_SERVICE, HTTP_PROXY
from flagger.sandbox.dataplane.routes import Rule
from flagger.sandbox.dataplane.translators.base import Contribution, Translator
from flagger.sandbox.dataplane.translators.contour import Contour
from flagger.sandbox.dataplane.translators.gloo import Gloo
from flagger.sandbox.dataplane.translators.nginx import Nginx
from tests.sandbox.dataplane.objects import a_service, meta
from tests.sandbox.dataplane.snapshots import RELEASE, a_snapshot, status_of

SERVICES = [{"name": "checkout-primary", "port": 80}]


def an_object(name: str, **spec: Any) -> Object:
    return {"metadata": meta(name), "spec": spec}


def a_root(*includes: Object, **spec: Any) -> Object:
    return an_object("root", virtualhost={"fqdn": "a.test"}, includes=list(includes), **spec)


def a_door(family: str, name: str = "door") -> Object:
    service = a_service(name, app=None, clusterIP="127.96.1.9")
    return {**service, "metadata": meta(name, labels={"sandbox.flagger.app/ingress": family})}


def translated(translator: Translator, family: str, objects: Mapping[Kind, list[Object]]) -> Contribution:
    """What a translator makes of objects beside a release and a front door of its family."""
    return translator.translate(a_snapshot({**objects, SERVICE: [*RELEASE, a_door(family)]}))


def rules_of(found: Contribution) -> tuple[Rule, ...]:
    """The rules of all hosts at the front door."""
    return tuple(rule for host in found.fronts["service_shop_door_80"] for rule in host.rules)


def route(*conditions: Object, **fields: Any) -> Object:
    return {"services": SERVICES, "conditions": list(conditions), **fields}


FAULTY: list[tuple[Object, str]] = [
    (route({"prefix": "/"}, {"prefix": "/a"}), "spec.routes[0].conditions: the path is named more than once"),
    (route({"prefix": "a"}), "the path 'a' doesn't begin with /"),
    (route({"header": {"name": "x"}}), "conditions.header: x is compared in 0 ways"),
    (route({"header": {"name": "x", "exact": "1", "contains": "1"}}), "x is compared in 2 ways"),
    (route({"header": {"name": "x", "regex": "("}}), "is no regular expression"),
    (route({"regex": "/(?=a)"}), "uses what RE2 does not have"),
    (route(services=[{**SERVICES[0], "mirror": True}]), "spec.routes.services: there is none"),
    (route(timeoutPolicy={"response": "s"}), "timeoutPolicy.response: 's' is not a duration"),
]


@pytest.mark.parametrize(("faulty", "problem"), FAULTY)
def test_an_invalid_proxy_says_why_and_serves_nothing(faulty: Object, problem: str) -> None:
    """One faulty route makes the proxy invalid; the root that includes it goes on with what it has itself."""
    child, root = an_object("child", routes=[faulty]), a_root({"name": "child"}, routes=[route()])

    found = translated(Contour(), "contour", {HTTP_PROXY: [child, root]})

    assert status_of(found, HTTP_PROXY, "child")["currentStatus"] == "invalid"
    assert problem in status_of(found, HTTP_PROXY, "child")["description"]
    assert status_of(found, HTTP_PROXY, "root")["currentStatus"] == "valid"
    assert len(rules_of(found)) == 1


def test_proxies_that_nobody_includes_are_orphaned() -> None:
    """Their routes are served nowhere; what is not there and what is a root can't be included."""
    other = an_object(
        "other", virtualhost={"fqdn": "b.test", "corsPolicy": CORS}, includes=[{"name": "root"}]
    )
    lonely = an_object("lonely", routes=[route()])
    root = a_root({"name": "nobody"}, routes=[route()])

    found = translated(Contour(), "contour", {HTTP_PROXY: [root, other, lonely]})

    said = {name: status_of(found, HTTP_PROXY, name) for name in ("root", "other", "lonely")}
    assert [said[name]["currentStatus"] for name in said] == ["invalid", "invalid", "orphaned"]
    assert "spec.includes[0]: there is no HTTPProxy shop/nobody" in said["root"]["description"]
    assert "shop/root is a root" in said["other"]["description"]
    assert len(rules_of(found)) == 1


CORS = {"allowOrigin": ["*"], "allowMethods": ["GET"], "maxAge": "10m"}


def test_of_proxies_with_the_same_host_none_is_served() -> None:
    """Nobody knows which one is meant; both say so."""
    both = [an_object(name, virtualhost={"fqdn": "a.test"}, routes=[route()]) for name in ("one", "two")]

    found = translated(Contour(), "contour", {HTTP_PROXY: both})

    for name in ("one", "two"):
        assert "several proxies have a.test" in status_of(found, HTTP_PROXY, name)["description"]
    assert found.fronts == {"service_shop_door_80": ()}


def test_a_faulty_virtual_host() -> None:
    """The field is named, and the host serves nothing."""
    virtual = {"fqdn": "a.test", "corsPolicy": {**CORS, "maxAge": "s"}}

    found = translated(Contour(), "contour", {HTTP_PROXY: [an_object("root", virtualhost=virtual)]})

    assert "spec.virtualhost.corsPolicy.maxAge" in status_of(found, HTTP_PROXY, "root")["description"]
    assert rules_of(found) == ()


def test_proxies_that_include_each_other_end() -> None:
    """A circle is read once."""
    one, two = (
        an_object(name, includes=[{"name": other}], routes=[route()])
        for name, other in (("one", "two"), ("two", "one"))
    )

    found = translated(Contour(), "contour", {HTTP_PROXY: [a_root({"name": "one"}), one, two]})

    assert len(rules_of(found)) == 2


def a_table(name: str, *routes: Object) -> Object:
    return an_object(name, routes=list(routes))


def delegating(table: str) -> Object:
    return {"inheritablePathMatchers": True, "delegateAction": {"ref": {"name": table, "namespace": "shop"}}}


DIRECT = {"kube": {"ref": {"name": "checkout", "namespace": "shop"}, "port": 80}}
TO_CHECKOUT = {"inheritablePathMatchers": True, "routeAction": {"single": DIRECT}}


@pytest.mark.parametrize(
    ("faulty", "problem"),
    [
        pytest.param(
            {**TO_CHECKOUT, "options": {"timeout": "long"}}, "options.timeout: 'long'", id="timeout"
        ),
        pytest.param({**TO_CHECKOUT, "matchers": [{"regex": "("}]}, "no regular expression", id="path"),
        pytest.param({**TO_CHECKOUT, "matchers": [{"headers": [{}]}]}, "has no name", id="nameless"),
        pytest.param(
            {**TO_CHECKOUT, "matchers": [{"headers": [{"name": "x", "value": "(", "regex": True}]}]},
            "matchers.x: '(' is no regular expression",
            id="header",
        ),
        pytest.param(delegating("checkout"), "shop/checkout delegates to itself", id="circle"),
    ],
)
def test_a_faulty_route_of_a_table_is_left_out(faulty: Object, problem: str) -> None:
    """The table says which one it is and why; its other routes are served."""
    service = an_object("edge", virtualHost={"domains": ["a.test"], "routes": [delegating("checkout")]})
    table = a_table("checkout", TO_CHECKOUT, faulty)

    found = translated(Gloo(), "gloo", {GLOO_VIRTUAL_SERVICE: [service], GLOO_ROUTE_TABLE: [table]})

    told = status_of(found, GLOO_ROUTE_TABLE, "checkout")["statuses"]["gloo-system"]
    assert told["state"] == "Rejected"
    assert "route 1: " in told["reason"]
    assert problem in told["reason"]
    accepted = status_of(found, GLOO_VIRTUAL_SERVICE, "edge")["statuses"]["gloo-system"]
    assert accepted["state"] == "Accepted"
    assert len(rules_of(found)) == 1


@pytest.mark.parametrize(
    "action",
    [
        pytest.param({}, id="none"),
        pytest.param({"delegateAction": {"selector": {"labels": {"no": "body"}}}}, id="nobody selected"),
        pytest.param({"delegateAction": {"ref": {"name": "nobody", "namespace": "shop"}}}, id="nobody"),
        pytest.param({"delegateAction": {"options": {}}}, id="neither named nor selected"),
    ],
)
def test_a_route_that_leads_nowhere(action: Object) -> None:
    """Nobody answers its requests but with 404."""
    service = an_object("edge", virtualHost={"routes": [{"matchers": [{"prefix": "/"}], **action}]})

    found = translated(Gloo(), "gloo", {GLOO_VIRTUAL_SERVICE: [service]})

    assert [getattr(rule.action, "status", None) for rule in rules_of(found)] == ([404] if not action else [])


def test_front_doors_of_other_families_are_not_ours() -> None:
    """Each family serves at its own front doors, and a cluster without any serves nothing."""
    ingress = an_object("public", ingressClassName="nginx", defaultBackend={"service": {"name": "checkout"}})

    assert translated(Nginx(), "contour", {INGRESS: [ingress]}).fronts == {}
    assert [
        host.domains for host in translated(Nginx(), "nginx", {INGRESS: [ingress]}).fronts.popitem()[1]
    ] == [("*",)]
