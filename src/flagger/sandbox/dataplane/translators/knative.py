"""Knative Serving: the Service of a Knative Service's name divides requests between Services of its revisions.

What Knative's own networking layer does with pods of its own, as far as it can be seen from outside: shares by percent.
Nothing is scaled to zero here, and nothing is reported: that is a Knative controller's business.
"""

from collections.abc import Iterator

from flagger.kube.objects import SERVICE, Kind, Object, name_of, namespace_of
from flagger.sandbox.dataplane.routes import MISSING_CLUSTER, Forward, Match, Rule, Target
from flagger.sandbox.dataplane.snapshot import Snapshot
from flagger.sandbox.dataplane.translators.base import Contribution
from flagger.sandbox.dataplane.translators.services import cluster_name, listener_name, tcp_ports

KNATIVE_SERVICE = Kind("serving.knative.dev", "v1", "Service", "services")


class Knative:
    """Reads `status.traffic`, in which the newest revision has its name."""

    needs = (KNATIVE_SERVICE, SERVICE)
    uses: tuple[Kind, ...] = ()

    def translate(self, seen: Snapshot) -> Contribution:
        """The rule of each port of the Services that Knative Services are reached by."""
        return Contribution(
            mesh=dict(rule for obj in seen.all(KNATIVE_SERVICE) for rule in _rules(obj, seen))
        )


def _rules(obj: Object, seen: Snapshot) -> Iterator[tuple[str, tuple[Rule, ...]]]:
    namespace, name = namespace_of(obj), name_of(obj)
    entrance = seen.get(SERVICE, namespace, name)
    shares = (obj.get("status") or {}).get("traffic") or ()
    targets = tuple(
        Target(_cluster_of(seen, namespace, share.get("revisionName", "")), share["percent"])
        for share in shares
        if share.get("percent")
    )
    if entrance is not None and targets:
        for port in tcp_ports(entrance):
            yield listener_name(namespace, name, port["port"]), (Rule(Match(), Forward(targets)),)


def _cluster_of(seen: Snapshot, namespace: str, revision: str) -> str:
    """The pods behind the first port of the revision's Service; nobody if there is none."""
    service = seen.get(SERVICE, namespace, revision)
    ports = tcp_ports(service) if service is not None else []
    return cluster_name(namespace, revision, ports[0]["port"]) if ports else MISSING_CLUSTER
