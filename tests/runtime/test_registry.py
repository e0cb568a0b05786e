"""Who looks at what, and who came first."""

from __future__ import annotations

import pytest

from flagger.api.canary import Canary
from flagger.kube.objects import DEPLOYMENT, SERVICE
from flagger.runtime.registry import Registry
from tests.fakes.cluster import a_canary


def canary(
    name: str, created: int = 0, *, target: str = "checkout", namespace: str = "shop", services: str = ""
) -> Canary:
    """A Canary made at a given second."""
    obj = a_canary(name, service={"name": services})
    obj["metadata"] |= {"namespace": namespace, "creationTimestamp": f"2030-01-05T10:00:{created:02}Z"}
    obj["spec"]["targetRef"]["name"] = target
    return Canary.parse(obj)


def registry(*canaries: Canary) -> Registry:
    known = Registry()
    for item in canaries:
        known.remember(item, [(DEPLOYMENT, item.namespace, item.target_name)])
    return known


def test_who_looks_at_an_object() -> None:
    """Only those that look at this very object, and only while they are known."""
    known = registry(canary("a"), canary("b", target="cart"), canary("c", namespace="other"))

    assert [item.name for item in known.looking_at((DEPLOYMENT, "shop", "checkout"))] == ["a"]
    assert known.looking_at((SERVICE, "shop", "checkout")) == []
    known.forget("shop/a")
    assert known.looking_at((DEPLOYMENT, "shop", "checkout")) == []


def test_population() -> None:
    """Canaries per namespace."""
    known = registry(canary("a"), canary("b"), canary("c", namespace="other"))

    assert known.population() == {"shop": 2, "other": 1}
    assert known.forget("shop/a").name == "a"
    assert known.forget("shop/a") is None
    assert known.population() == {"shop": 1, "other": 1}


@pytest.mark.parametrize(
    ("mine", "other", "waits"),
    [
        pytest.param(canary("mine", 5), canary("other", 1), True, id="the younger"),
        pytest.param(canary("mine", 1), canary("other", 5), False, id="the older"),
        pytest.param(canary("zzz", 1), canary("aaa", 1), True, id="of the same second by name"),
        pytest.param(canary("mine", 5), canary("other", 1, target="cart"), False, id="another target"),
        pytest.param(canary("mine", 5), canary("other", 1, namespace="else"), False, id="another namespace"),
        pytest.param(
            canary("mine", 5, services="web"),
            canary("other", 1, target="cart", services="web"),
            True,
            id="the same Services",
        ),
        pytest.param(
            canary("mine", 5),
            canary("other", 1, target="cart", services="checkout"),
            True,
            id="its Services are mine",
        ),
    ],
)
def test_who_waits_for_whom(mine: Canary, other: Canary, waits: bool) -> None:
    """Of two that claim the same, the younger waits, whichever came to be known first."""
    assert (registry(mine, other).dispute(mine) is not None) is waits
    assert (registry(other, mine).dispute(mine) is not None) is waits


def test_the_dispute_names_the_oldest() -> None:
    """The message says who has it and what to do."""
    youngest, others = canary("c", 9), [canary("b", 5), canary("a", 1)]

    assert str(registry(youngest, *others).dispute(youngest)) == (
        "spec.targetRef: Deployment checkout is released by the older Canary a.shop already; "
        "delete one of the two, or name another target"
    )


def test_the_dispute_names_the_services() -> None:
    """Two targets may not share the names of their Services either."""
    mine, other = canary("mine", 5, services="web"), canary("other", 1, target="cart", services="web")

    assert str(registry(mine, other).dispute(mine)) == (
        "spec.service.name: the Services web, web-primary, web-canary belong to the older Canary other.shop; "
        "choose another name"
    )


def test_rivals() -> None:
    """All others that claim the same, older or not."""
    known = registry(canary("a", 1), canary("b", 2), canary("c", 3), canary("d", 4, target="cart"))

    assert {item.name for item in known.rivals(canary("b", 2))} == {"a", "c"}
