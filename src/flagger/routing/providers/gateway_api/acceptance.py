"""Whether the Gateways of a route have taken over its current form. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from flagger.kube.objects import Object


def refusal_of(route: Object) -> str:
    """What is said of a route that one of its parents rejects, or has not seen in its present form; else "".

    Parents that say nothing of it are no hindrance: not every controller reports.
    """
    generation = route["metadata"].get("generation", 0)
    for parent, condition in _acceptances(route):
        seen = condition.get("observedGeneration", 0)
        if condition["status"] != "True" or seen < generation:
            return (
                f"is not accepted by {parent}: Accepted={condition['status']} "
                f"{condition.get('reason', '')} at generation {seen}, the route is at {generation}"
            )
    return ""


def _acceptances(route: Object) -> Iterator[tuple[str, Object]]:
    """The conditions of the route's own parents, each with the parent's name."""
    for status in (route.get("status") or {}).get("parents") or ():
        parent = status.get("parentRef") or {}
        if parent in (route["spec"].get("parentRefs") or ()):
            for condition in status.get("conditions") or ():
                if condition["type"] == "Accepted":
                    yield parent.get("name", ""), condition
