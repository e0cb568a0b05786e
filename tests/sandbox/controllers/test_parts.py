"""The small parts of the controllers: selectors, templates, queues, ports, conditions, eligibility."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flagger.kube.objects import Object
from flagger.sandbox.controllers import Controllers
from flagger.sandbox.controllers.deployment_status import condition, set_condition
from flagger.sandbox.controllers.endpoint_contents import backends_of, same, subsets
from flagger.sandbox.controllers.job_status import Count, back_off, parallel, verdict
from flagger.sandbox.controllers.queue import Queue
from flagger.sandbox.controllers.replicaset import worth
from flagger.sandbox.controllers.revisions import HISTORY, REVISION, annotations_for
from flagger.sandbox.controllers.scheduler import is_eligible
from flagger.sandbox.controllers.selectors import matches
from flagger.sandbox.controllers.template import same as same_template
from flagger.sandbox.controllers.template import template_hash

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("selector", "labels", "expected"),
    [
        ({"matchLabels": {"a": "1"}}, {"a": "1", "b": "2"}, True),
        ({"matchLabels": {"a": "1"}}, {"a": "2"}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, {"a": "2"}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, {}, True),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {"a": ""}, True),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {"a": ""}, False),
        ({}, {"a": "1"}, False),
    ],
)
def test_selects(selector: Object, labels: dict[str, str], *, expected: bool) -> None:
    """Selectors select what the API says; an empty one nothing."""
    assert matches(selector, labels) is expected


def a_template(image: str = "web:1", **labels: str) -> Object:
    """A pod template."""
    return {
        "metadata": {"labels": {"app": "web", **labels}},
        "spec": {"containers": [{"name": "a", "image": image}]},
    }


def test_templates_are_the_same_whatever_was_added() -> None:
    """The hash label, empty objects and nulls make no difference; an image does."""
    padded = a_template(**{"pod-template-hash": "abc"})
    padded["metadata"]["creationTimestamp"] = None
    padded["spec"]["securityContext"] = {}

    assert same_template(padded, a_template())
    assert not same_template(padded, a_template("web:2"))


def test_hashes_are_stable_and_readable() -> None:
    """Equal templates have one hash, in the alphabet of names; a collision gives another one."""
    one = template_hash(a_template(), 0)

    assert one == template_hash(a_template(), 0)
    assert one != template_hash(a_template(), 1)
    assert one != template_hash(a_template("web:2"), 0)
    assert set(one) <= set("456789bcdf")
    assert len(one) <= 10


def test_a_set_taken_up_again_remembers_its_numbers() -> None:
    """Its revision is the newest, the old ones are appended to the history."""
    known = {"metadata": {"annotations": {REVISION: "3", HISTORY: "1"}}}

    found = annotations_for({"metadata": {"annotations": {REVISION: "4", "team": "shop"}}}, known, 5)

    assert found == {REVISION: "5", HISTORY: "1,3", "team": "shop"}


def test_a_changed_condition_moves_to_the_end() -> None:
    """The transition time moves with the status only."""
    before = condition("Progressing", "True", "ReplicaSetUpdated", "", NOW - timedelta(minutes=1))
    other = condition("Available", "True", "MinimumReplicasAvailable", "", NOW)

    found = set_condition(
        [before, other], condition("Progressing", "True", "NewReplicaSetAvailable", "", NOW)
    )

    assert [entry["type"] for entry in found] == ["Available", "Progressing"]
    assert found[1]["lastTransitionTime"] == before["lastTransitionTime"]
    assert found[1]["lastUpdateTime"] == other["lastUpdateTime"]
    assert set_condition(found, found[1]) == found


async def test_a_key_is_worked_on_by_one_at_a_time() -> None:
    """Added twice it comes once; added while worked on it comes again afterwards."""
    queue = Queue()
    queue.add("a")
    queue.add("a")
    assert await queue.take() == "a"
    queue.add("a")
    queue.add("b")
    assert await queue.take() == "b"
    queue.done("a")
    assert await queue.take() == "a"


@pytest.mark.looptime
async def test_a_failed_key_waits_longer_each_time() -> None:
    """The back-off doubles up to half a minute, and is forgotten after a success."""
    queue = Queue()
    clock = asyncio.get_running_loop().time
    queue.add("a")
    waits = []
    for failed in [True] * 16 + [False, True]:
        key = await queue.take()
        started = clock()
        queue.done(key, failed=failed, again_after=None if failed else 1.0)
        await queue.take()
        waits.append(round(clock() - started, 3))
        queue.done("a", failed=failed, again_after=None if failed else 0.0)
    queue.close()

    assert waits[:3] == [0.005, 0.02, 0.08]
    assert waits[15] == 30.0
    assert waits[16:] == [1.0, 0.005]


async def test_the_earliest_of_several_times_counts() -> None:
    """A key asked for in an hour and in a moment comes in a moment, once."""
    queue = Queue()
    queue.add_later("a", 3600)
    queue.add_later("a", 0.001)
    queue.add_later("a", 1800)
    async with asyncio.timeout(1):
        assert await queue.take() == "a"
    queue.close()


def a_pod(name: str, *, ip: str = "10.0.0.1", ready: bool = True, **spec: Any) -> Object:
    """A pod with an address."""
    status = {
        "phase": "Running",
        "podIP": ip,
        "conditions": [
            {
                "type": "Ready",
                "status": "True" if ready else "False",
                "lastTransitionTime": "2026-11-23T11:00:00Z",
            }
        ],
    }
    metadata = {"name": name, "namespace": "shop", "creationTimestamp": "2026-11-23T10:00:00Z"}
    return {"metadata": metadata, "spec": {"nodeName": "n", **spec}, "status": status}


def test_pods_with_other_ports_are_apart() -> None:
    """A named port that differs from pod to pod makes a subset for each number."""
    service = {"spec": {"ports": [{"name": "http", "port": 80, "targetPort": "http"}]}}
    pods = [
        a_pod(name, ip=ip, containers=[{"ports": [{"name": "http", "containerPort": port}]}])
        for name, ip, port in (("a", "10.0.0.1", 8080), ("b", "10.0.0.2", 9090), ("c", "10.0.0.3", 8080))
    ]
    pods.append(a_pod("portless", ip="10.0.0.4", containers=[{}]))

    found = subsets(backends_of(service, pods))

    ports = [(subset["ports"][0]["port"], [a["ip"] for a in subset["addresses"]]) for subset in found]
    assert ports == [(8080, ["10.0.0.1", "10.0.0.3"]), (9090, ["10.0.0.2"])]


def test_a_new_version_of_a_pod_changes_no_endpoints() -> None:
    """Versions in references are not worth a write."""
    assert same({"targetRef": {"name": "a", "resourceVersion": "1"}}, {"targetRef": {"name": "a"}})
    assert not same({"targetRef": {"name": "a"}}, {"targetRef": {"name": "b"}})


def test_the_least_useful_pods_go_first() -> None:
    """Unbound, pending, unready, cheap, young: in this order."""
    pods = {
        "unbound": {**a_pod("a"), "spec": {}},
        "pending": {**a_pod("b"), "status": {"phase": "Pending"}},
        "unready": a_pod("c", ready=False),
        "cheap": a_pod("d"),
        "useful": a_pod("e"),
    }
    pods["cheap"]["metadata"]["annotations"] = {"controller.kubernetes.io/pod-deletion-cost": "-5"}

    assert sorted(pods, key=lambda name: worth(pods[name], NOW)) == list(pods)


def a_job(**spec: Any) -> Object:
    """A Job that began a minute ago."""
    template = {"spec": {"restartPolicy": "Never"}}
    return {
        "spec": {"completions": 1, "template": template, **spec},
        "status": {"startTime": "2026-11-23T11:59:00Z"},
    }


@pytest.mark.parametrize(
    ("spec", "count", "reason"),
    [
        ({}, Count(1, 0, 0), None),
        ({}, Count(0, 1, 3), ""),
        ({"backoffLimit": 2}, Count(0, 0, 2), None),
        ({"backoffLimit": 2}, Count(0, 0, 3), "BackoffLimitExceeded"),
        ({"activeDeadlineSeconds": 60}, Count(1, 0, 0), "DeadlineExceeded"),
        ({"activeDeadlineSeconds": 61}, Count(1, 0, 0), None),
        ({"completions": None}, Count(1, 1, 0), None),
        ({"completions": None}, Count(0, 1, 0), ""),
    ],
)
def test_a_job_ends(spec: Object, count: Count, reason: str | None) -> None:
    """By success, by too many failures, or by time."""
    found = verdict(a_job(**spec), count, NOW)

    assert (found.reason if found else None) == reason


@pytest.mark.parametrize(("failures", "wait"), [(0, 0.0), (1, 5.0), (2, 15.0), (3, 35.0), (9, 355.0)])
def test_a_job_waits_longer_after_each_failure(failures: int, wait: float) -> None:
    """10 s after the first failure, doubled each time, at most 6 minutes."""
    ended = {"state": {"terminated": {"finishedAt": "2026-11-23T11:59:55Z"}}}
    pod = {"metadata": {"creationTimestamp": "2026-11-23T11:00:00Z"}, "status": {"phase": "Failed"}}
    pod["status"]["containerStatuses"] = [ended]

    assert back_off([pod] * failures, NOW) == wait


@pytest.mark.parametrize(
    ("spec", "count", "wanted"),
    [
        ({"completions": 3, "parallelism": 2}, Count(0, 0, 0), 2),
        ({"completions": 3, "parallelism": 2}, Count(0, 2, 0), 1),
        ({"completions": 3, "suspend": True}, Count(2, 0, 0), 0),
        ({"completions": None, "parallelism": 2}, Count(1, 1, 0), 1),
    ],
)
def test_a_job_runs_so_many_pods(spec: Object, count: Count, wanted: int) -> None:
    """As many as may run beside each other and are still needed."""
    assert parallel(a_job(**spec), count) == wanted


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, False),
        ({"tolerations": [{"key": "gpu", "operator": "Exists"}]}, True),
        ({"tolerations": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]}, True),
        ({"tolerations": [{"key": "gpu", "value": "no"}]}, False),
        ({"tolerations": [{"operator": "Exists"}], "nodeSelector": {"disk": "ssd"}}, True),
        ({"tolerations": [{"operator": "Exists"}], "nodeSelector": {"disk": "hdd"}}, False),
    ],
)
def test_nodes_suit_by_selector_and_taint(spec: Object, *, expected: bool) -> None:
    """A taint needs a toleration, a selector the label."""
    node = {
        "metadata": {"name": "n", "labels": {"disk": "ssd"}},
        "spec": {"taints": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]},
    }
    assert is_eligible(spec, node) is expected


def test_taints_of_a_node_that_came_up_late_dont_matter() -> None:
    """They repeat the Ready condition, and a real API server sets some that nobody may be there to take away."""
    keys = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
    node = {
        "metadata": {"name": "n"},
        "spec": {"taints": [{"key": key, "effect": "NoSchedule"} for key in keys]},
    }
    assert is_eligible({}, node)


@pytest.mark.parametrize(
    ("operator", "values", "expected"), [("In", ["a"], True), ("NotIn", ["a"], False), ("Gt", ["3"], True)]
)
def test_nodes_suit_by_affinity(operator: str, values: list[str], *, expected: bool) -> None:
    """Required node affinity is honoured."""
    node = {"metadata": {"name": "n", "labels": {"zone": "a", "cores": "4"}}}
    key = "cores" if operator == "Gt" else "zone"
    term = {"matchExpressions": [{"key": key, "operator": operator, "values": values}]}
    rule = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}

    assert is_eligible({"affinity": {"nodeAffinity": rule}}, node) is expected


def test_refuses_controllers_that_do_not_exist() -> None:
    """The error names those that do."""
    with pytest.raises(ValueError, match=r"no such controller: statefulset; there are .*deployment"):
        Controllers(client=None, only=["statefulset"])  # type: ignore[arg-type]
