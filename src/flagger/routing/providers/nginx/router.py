"""The router of ingress-nginx.

The canary Ingress is the user's own with the apex Service replaced, marked as a canary even while nothing is
released: ingress-nginx would refuse two plain Ingresses of the same host and path.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flagger.api.canary import Canary
from flagger.api.names import GITOPS_IGNORE
from flagger.kube.objects import INGRESS, Kind, Object, annotations_of, labels_of
from flagger.rollout.state import Feature, Split
from flagger.routing.base import Flags, Live, Place, RouteError
from flagger.routing.overlay import instead_of
from flagger.routing.providers.nginx.annotations import annotated_split, canary_annotations

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class Nginx:
    """Splits by an annotation with the canary's weight, matches a header and a cookie by others."""

    features = frozenset({Feature.WEIGHTS, Feature.MATCH})
    kinds: Sequence[Kind] = (INGRESS,)
    early: Sequence[Kind] = ()

    def __init__(self, flags: Flags) -> None:
        self._prefix = f"{flags.annotations_prefix}/"

    def places(self, canary: Canary) -> Sequence[Place]:
        """The canary Ingress and the user's own, if the Canary names one."""
        return (_canary_place(canary), _users_place(canary)) if canary.spec.ingress_ref else ()

    def desired(self, canary: Canary, split: Split, live: Live) -> Sequence[Object]:
        """The canary Ingress; see `Router.desired`."""
        place, before = _canary_place(canary), live.get(_canary_place(canary))
        users = live.get(_users_place(canary))
        if users is None:
            raise RouteError(
                f"{_users_place(canary)}, which spec.ingressRef of {canary.name}.{canary.namespace} names, not found"
            )
        metadata: Object = {
            "name": place.name,
            "namespace": place.namespace,
            "annotations": self._annotations(canary, split, users, before),
            "ownerReferences": [canary.owner_reference],
        }
        if before is None and labels_of(users):
            metadata["labels"] = labels_of(users)
        spec = instead_of((before or {}).get("spec", {}), _canary_spec(canary, users))
        return [{"apiVersion": INGRESS.api_version, "kind": INGRESS.kind, "metadata": metadata, "spec": spec}]

    def split_of(self, canary: Canary, live: Live) -> Split:
        """What the annotations of the canary Ingress say; see `Router.split_of`."""
        place = _canary_place(canary)
        ingress = live.get(place)
        if ingress is None:
            raise RouteError(f"{place} not found")
        ours = {
            key.removeprefix(self._prefix): value
            for key, value in annotations_of(ingress).items()
            if key.startswith(self._prefix)
        }
        try:
            return annotated_split(canary, ours)
        except RouteError as error:
            raise RouteError(f"annotation {self._prefix}{error} in {place}") from error

    def handed_back(self, canary: Canary, live: Live) -> Mapping[Place, Object | None]:
        """Without the canary Ingress if it was made for this Canary; the user's own was never changed."""
        if canary.spec.ingress_ref is None:
            return {}
        place = _canary_place(canary)
        owners = live.get(place, {}).get("metadata", {}).get("ownerReferences") or ()
        ours = any(owner.get("uid") == canary.metadata.uid for owner in owners)
        return {place: None} if ours else {}

    def _annotations(self, canary: Canary, split: Split, users: Object, before: Object | None) -> Object:
        """Those of the user's Ingress to begin with, later what was there; our own are always as they should be."""
        wanted = canary_annotations(canary, split)
        ours = {f"{self._prefix}{key}": value for key, value in wanted.items()} | GITOPS_IGNORE
        if before is None:
            return dict(self._copied(annotations_of(users))) | ours
        stale = {key: None for key in annotations_of(before) if key.startswith(f"{self._prefix}canary")}
        return stale | ours

    def _copied(self, annotations: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        for key, value in annotations.items():
            if not key.startswith((f"{self._prefix}canary", LAST_APPLIED)):
                yield key, value


def _users_place(canary: Canary) -> Place:
    """The user's Ingress.

    Raises:
        RouteError: the Canary names none.
    """
    ref = canary.spec.ingress_ref
    if ref is None:
        raise RouteError(
            f"spec.ingressRef of {canary.name}.{canary.namespace} is missing: "
            f"name the Ingress that leads to Service {canary.service_names.apex}"
        )
    return Place(INGRESS, canary.namespace, ref.name)


def _canary_place(canary: Canary) -> Place:
    users = _users_place(canary)
    return users._replace(name=f"{users.name}-canary")


def _canary_spec(canary: Canary, users: Object) -> Object:
    """The user's spec with the canary Service in the place of the apex Service.

    Raises:
        RouteError: it has no such place.
    """
    apex, _, candidate = canary.service_names
    before = users["spec"]
    rules = [_replaced(rule, apex, candidate) for rule in before.get("rules") or ()]
    if rules == (before.get("rules") or []):
        raise RouteError(
            f"spec.rules of {_users_place(canary)} has no http path to Service {apex}: "
            "add one, or name another Ingress in spec.ingressRef"
        )
    return {**before, "rules": rules}


def _replaced(rule: Object, apex: str, candidate: str) -> Object:
    """The rule with another Service in its paths; one without paths is for all of its host's requests."""
    if not rule.get("http"):
        return rule
    paths = [path | {"backend": _backend(path["backend"], apex, candidate)} for path in rule["http"]["paths"]]
    return rule | {"http": rule["http"] | {"paths": paths}}


def _backend(backend: Object, apex: str, candidate: str) -> Object:
    service: Any = backend.get("service") or {}
    return backend | {"service": service | {"name": candidate}} if service.get("name") == apex else backend
