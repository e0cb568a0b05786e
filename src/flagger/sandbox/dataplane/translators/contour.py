"""Contour: HTTPProxies with a virtual host, and those that they include.

Prefixes are whole segments here. Of a route's retry policy only the time limit of a try is served: the data plane
itself repeats what no pod has seen.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from flagger.api.errors import FieldError
from flagger.kube.objects import SERVICE, Object, key_of, namespace_of
from flagger.sandbox.dataplane.kinds import HTTP_PROXY
from flagger.sandbox.dataplane.routes import Cors, Rule, VirtualHost
from flagger.sandbox.dataplane.snapshot import Snapshot
from flagger.sandbox.dataplane.translators.base import Contribution, Report
from flagger.sandbox.dataplane.translators.durations import duration_of
from flagger.sandbox.dataplane.translators.fronts import at_fronts
from flagger.sandbox.dataplane.translators.gateway.rules import rank
from flagger.sandbox.dataplane.translators.httpproxy.conditions import ANY, Conditions, narrowed
from flagger.sandbox.dataplane.translators.httpproxy.routes import rule_of


@dataclass(frozen=True, slots=True)
class Reading:
    """What has been read so far: `problems` by the key of a proxy, "" for one that is in order."""

    seen: Snapshot
    problems: dict[str, str] = field(default_factory=dict)


class Contour:
    """Reads what Contour reads, and reports what it reports."""

    needs = (HTTP_PROXY, SERVICE)
    uses = ()

    def translate(self, seen: Snapshot) -> Contribution:
        """The hosts of all root proxies, at the controller's front doors, and all statuses."""
        reading = Reading(seen)
        hosts = [_host(root, reading) for root in _roots(reading)]
        reports = tuple(_report(proxy, reading) for proxy in seen.all(HTTP_PROXY))
        return Contribution(fronts=at_fronts(seen, "contour", hosts), reports=reports)


def _roots(reading: Reading) -> Iterator[Object]:
    """The proxies with a host name that no other one has: of several, none is served."""
    roots = [proxy for proxy in reading.seen.all(HTTP_PROXY) if proxy["spec"].get("virtualhost")]
    names = Counter(root["spec"]["virtualhost"]["fqdn"] for root in roots)
    for root in roots:
        name = root["spec"]["virtualhost"]["fqdn"]
        if names[name] == 1:
            yield root
        else:
            error = FieldError("spec.virtualhost.fqdn", f"several proxies have {name}", "choose another name")
            reading.problems[key_of(root)] = str(error)


def _host(root: Object, reading: Reading) -> VirtualHost:
    """The rules of a root and all that it includes, the most specific first."""
    virtual = root["spec"]["virtualhost"]
    try:
        rules = _rules(root, ANY, reading, _cors(virtual.get("corsPolicy")))
    except FieldError as error:
        reading.problems[key_of(root)], rules = f"spec.virtualhost.{error}", []
    return VirtualHost((virtual["fqdn"],), tuple(sorted(rules, key=lambda rule: rank(rule.match))))


def _rules(proxy: Object, within: Conditions, reading: Reading, cors: Cors | None) -> list[Rule]:
    """All rules of a proxy; none where anything in it is wrong."""
    key = key_of(proxy)
    if key in reading.problems:
        return []  # included twice, or by itself
    reading.problems[key] = ""
    try:
        own = [
            rule_of(route, narrowed(within, route, f"spec.routes[{index}]"), proxy, reading.seen, cors)
            for index, route in enumerate(proxy["spec"].get("routes") or ())
        ]
        return own + list(_included(proxy, within, reading, cors))
    except FieldError as error:
        reading.problems[key] = str(error)
        return []


def _included(proxy: Object, within: Conditions, reading: Reading, cors: Cors | None) -> Iterator[Rule]:
    for index, entry in enumerate(proxy["spec"].get("includes") or ()):
        where = f"spec.includes[{index}]"
        namespace, name = entry.get("namespace") or namespace_of(proxy), entry["name"]
        child = reading.seen.get(HTTP_PROXY, namespace, name)
        if child is None:
            problem = f"there is no HTTPProxy {namespace}/{name}"
            reading.problems[key_of(proxy)] = str(
                FieldError(where, problem, "create it, or remove the entry")
            )
        elif child["spec"].get("virtualhost"):
            raise FieldError(where, f"{namespace}/{name} is a root", "take its virtualhost away")
        else:
            yield from _rules(child, narrowed(within, entry, where), reading, cors)


def _cors(policy: Object | None) -> Cors | None:
    if policy is None:
        return None
    return Cors(
        origins=tuple(policy["allowOrigin"]),
        methods=tuple(policy["allowMethods"]),
        headers=tuple(policy.get("allowHeaders") or ()),
        expose=tuple(policy.get("exposeHeaders") or ()),
        credentials=policy.get("allowCredentials", False),
        max_age=int(duration_of("corsPolicy.maxAge", policy.get("maxAge")).total_seconds()),
    )


def _report(proxy: Object, reading: Reading) -> Report:
    problem = reading.problems.get(key_of(proxy))
    if problem is None:
        status = {"currentStatus": "orphaned", "description": "no root HTTPProxy includes this one"}
    elif problem:
        status = {"currentStatus": "invalid", "description": problem}
    else:
        status = {"currentStatus": "valid", "description": "Valid HTTPProxy"}
    return Report(HTTP_PROXY, proxy, status)
