"""Ingress controllers at their front doors: what is understood, and what is left out rather than misread."""

from __future__ import annotations

import pytest

from flagger.kube.objects import INGRESS, SERVICE, Kind, Object
from flagger.sandbox.dataplane.kinds import APISIX_ROUTE, INGRESS_ROUTE
from flagger.sandbox.dataplane.routes import MISSING_CLUSTER, Forward, MatchKind, VirtualHost
from flagger.sandbox.dataplane.translators.fronts import INGRESS_LABEL
from flagger.sandbox.dataplane.translators.skipper import Predicates, predicates_of
from flagger.sandbox.dataplane.translators.table import TRANSLATORS
from flagger.sandbox.dataplane.translators.traefik import alternatives
from tests.sandbox.dataplane.objects import a_service, meta
from tests.sandbox.dataplane.snapshots import RELEASE, a_snapshot


def hosts_at_door(family: str, kind: Kind, *objects: Object) -> tuple[VirtualHost, ...]:
    """What a front door of a family serves in a world of these objects."""
    door = a_service("door", clusterIP="127.96.1.9")
    door["metadata"] = meta("door", labels={INGRESS_LABEL: family})
    seen = a_snapshot({SERVICE: [*RELEASE, door], kind: list(objects)})
    return TRANSLATORS[family].translate(seen).fronts["service_shop_door_80"]


def clusters(hosts: tuple[VirtualHost, ...]) -> list[str]:
    """Where the rules of all hosts lead."""
    actions = [rule.action for host in hosts for rule in host.rules]
    return [target.cluster for each in actions if isinstance(each, Forward) for target in each.targets]


def an_ingress(annotations: dict[str, str] | None = None, **backend: object) -> Object:
    service = {"name": "checkout", "port": {"number": 80}} | backend
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": service}}
    rules = [{"host": "a.test", "http": {"paths": [path]}}]
    return {"metadata": meta("public", annotations=annotations or {}), "spec": {"rules": rules}}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("", Predicates(), id="none"),
        pytest.param("Weight(100) && True()", Predicates(weight=101), id="weights add up"),
        pytest.param('Method("get") &&', Predicates("GET", weight=1), id="nothing after the and"),
        pytest.param("False() && Weight(1)", None, id="never"),
        pytest.param('Header("a", "b && c")', "b && c", id="an and within a text"),
        pytest.param("HeaderRegexp(/b/)", None, id="no value"),
        pytest.param('Cookie("a", "b")', None, id="not understood"),
        pytest.param("Weight(x)", None, id="no number"),
    ],
)
def test_predicates_of_skipper(text: str, found: Predicates | str | None) -> None:
    """What is not understood never holds."""
    read = predicates_of(text)

    if isinstance(found, str):
        assert read is not None
        assert (read.headers[0].kind, read.headers[0].value) == (MatchKind.EXACT, found)
    else:
        assert read == found


@pytest.mark.parametrize(
    ("ingress", "found"),
    [
        pytest.param(an_ingress(), ["shop_checkout_80"], id="of no class"),
        pytest.param(an_ingress({"kubernetes.io/ingress.class": "nginx"}), [], id="of another class"),
        pytest.param(
            an_ingress({"zalando.org/backend-weights": "{"}), ["shop_checkout_80"], id="weights that are none"
        ),
        pytest.param(an_ingress(port={"name": "http"}), ["shop_checkout_80"], id="a port by name"),
        pytest.param(an_ingress(port={"number": 81}), [MISSING_CLUSTER], id="no such port"),
        pytest.param(an_ingress(name="nobody"), [MISSING_CLUSTER], id="no such Service"),
    ],
)
def test_ingresses_of_skipper(ingress: Object, found: list[str]) -> None:
    """Backends are Service ports, by number or name."""
    assert clusters(hosts_at_door("skipper", INGRESS, ingress)) == found


@pytest.mark.parametrize(
    "rule",
    [
        "Host(`a`) && (Path(`/`))",
        "!Host(`a`)",
        "Host(a)",
        "Query(`a`)",
        "Header(`a`)",
        "Host(`a`) ||",
        "Header(`a`) && Host(`b`)",
        "",
    ],
)
def test_rules_of_traefik_that_are_not_understood(rule: str) -> None:
    """A route is left out as a whole, so that nobody is led by half of its rule."""
    assert alternatives(rule) == ()


def test_patterns_that_envoy_would_refuse() -> None:
    """One bad expression holds nothing else up."""
    routes = [
        {"match": match, "services": [{"name": "checkout", "port": 80}]}
        for match in ("HeaderRegexp(`a`, `(`)", "Host(``)", "Host(`b.test`)")
    ]
    found = hosts_at_door("traefik", INGRESS_ROUTE, {"metadata": meta("a"), "spec": {"routes": routes}})

    assert [host.domains for host in found] == [("b.test",)]


def test_paths_of_apisix() -> None:
    """A star at the end stands for anything; without one the path is meant as it is."""
    paths = ["/a*", "/a", "/*"]
    backend = {"serviceName": "checkout", "servicePort": 80}
    rule = {"name": "x", "match": {"paths": paths}, "backends": [backend]}
    (host,) = hosts_at_door("apisix", APISIX_ROUTE, {"metadata": meta("a"), "spec": {"http": [rule]}})

    assert [(rule.match.path.kind, rule.match.path.value) for rule in host.rules] == [
        (MatchKind.EXACT, "/a"),
        (MatchKind.REGEX, "/a.*"),
        (MatchKind.PREFIX, "/"),
    ]


@pytest.mark.parametrize(
    ("family", "kind"), [("skipper", INGRESS), ("traefik", INGRESS_ROUTE), ("apisix", APISIX_ROUTE)]
)
def test_a_door_without_routes(family: str, kind: Kind) -> None:
    """It answers that there is nothing, rather than with pods of its own."""
    assert hosts_at_door(family, kind) == ()
