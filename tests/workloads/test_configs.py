"""ConfigMaps and Secrets of a Deployment, on a real API: copied, released, restored."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest

from flagger.api.canary import Canary
from flagger.kube.objects import CONFIG_MAP, DEPLOYMENT, SECRET, Object, labels_of
from flagger.runtime.kinds import CANARY
from flagger.workloads.base import Options, SupersededError, TargetError
from flagger.workloads.deployment import DeploymentWorkload
from flagger.workloads.primary import identity_of
from tests.fakes.cluster import SHOP, Lab, a_canary, a_target
from tests.workloads.test_deployment import a_replica_set

NOW = datetime(2030, 1, 5, tzinfo=UTC)
PRIMARY = "checkout-primary"
BOTH = {"configmap/env": "0d38a3215d4ea8fd", "secret/db": "1143e51b34ae22fa"}


def a_config_map(name: str = "env", data: Object | None = None, **metadata: object) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": SHOP, **metadata},
        "data": data or {"CURRENCY": "EUR", "LOG_FORMAT": "json"},
    }


def a_secret(name: str = "db", type_: str = "Opaque", **metadata: object) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": SHOP, **metadata},
        "type": type_,
        "data": {"username": "Y2hlY2tvdXQ=", "password": "czNjcjN0"},
    }


def configured(name: str = "checkout") -> Object:
    """A target with a ConfigMap, a Secret and an optional ConfigMap that does not exist."""
    target = a_target(name)
    target["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [
        {"configMapRef": {"name": "env"}},
        {"secretRef": {"name": "db"}},
        {"configMapRef": {"name": "flags", "optional": True}},
    ]
    return target


def sources_of(deployment: Object) -> list[str]:
    """The names in `envFrom`."""
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return [name for source in container["envFrom"] for name in (next(iter(source.values()))["name"],)]


def a_workload(lab: Lab, **options: object) -> DeploymentWorkload:
    numbers = itertools.count(1)
    return DeploymentWorkload(lab.cluster, Options(**options), lambda: f"id-{next(numbers)}")


async def bootstrapped(lab: Lab, **options: object) -> tuple[DeploymentWorkload, Canary]:
    """A target with configs, and its primary."""
    labels = {"app.kubernetes.io/part-of": "shop", "team": "pay"}
    await lab.add(a_config_map(labels=labels, annotations={"note": "keep"}), a_secret(), configured())
    workload, canary = a_workload(lab, **options), Canary.parse(await lab.add(a_canary()))
    await workload.ensure_primary(canary, refresh=True)
    return workload, canary


async def edited(lab: Lab, workload: DeploymentWorkload, canary: Canary) -> tuple[str, Object]:
    """Change the ConfigMap; returns the revision, which stays, and the configs, which don't."""
    await lab.change(CONFIG_MAP, {"data": {"CURRENCY": "USD"}}, "env")
    seen = await workload.sight(canary, NOW)
    return seen.target.revision, dict(seen.configs or {})


async def test_the_first_primary_gets_copies(lab: Lab) -> None:
    """Data and type are copied, labels by prefix, no annotations; the primary refers to the copies."""
    _, canary = await bootstrapped(lab, prefixes=("app.kubernetes.io",))

    env, db = await lab.get(CONFIG_MAP, "env-primary"), await lab.get(SECRET, "db-primary")
    assert env["data"] == {"CURRENCY": "EUR", "LOG_FORMAT": "json"}
    assert labels_of(env) == {"app.kubernetes.io/part-of": "shop"}
    assert "annotations" not in env["metadata"]
    assert (db["type"], db["data"]) == ("Opaque", a_secret()["data"])
    assert env["metadata"]["ownerReferences"] == [canary.owner_reference]
    assert sources_of(await lab.get(DEPLOYMENT, PRIMARY)) == ["env-primary", "db-primary", "flags"]
    assert sources_of(await lab.get(DEPLOYMENT)) == ["env", "db", "flags"]


async def test_what_is_seen(lab: Lab) -> None:
    """What is tracked with its checksum; what does not exist is watched all the same."""
    workload, canary = await bootstrapped(lab)

    seen = await workload.sight(canary, NOW)

    assert seen.configs == BOTH
    assert seen.watched == {(CONFIG_MAP, "env"), (CONFIG_MAP, "flags"), (SECRET, "db")}


async def test_tracking_can_be_switched_off(lab: Lab) -> None:
    """Then nothing is seen, copied or redirected."""
    workload, canary = await bootstrapped(lab, track_configs=False)

    seen = await workload.sight(canary, NOW)
    assert (seen.configs, seen.watched) == (None, frozenset())
    assert sources_of(await lab.get(DEPLOYMENT, PRIMARY)) == ["env", "db", "flags"]
    assert {item["metadata"]["name"] for item in (await lab.client.list(SECRET, SHOP)).items} == {"db"}


async def test_an_opt_out_stays_with_the_original(lab: Lab) -> None:
    """The primary refers to the very object, and its changes are nobody's release."""
    workload, canary = await bootstrapped(lab)
    await lab.change(
        CONFIG_MAP, {"metadata": {"annotations": {"flagger.app/config-tracking": "disabled"}}}, "env"
    )
    seen = await workload.sight(canary, NOW)
    assert seen.configs == {"secret/db": BOTH["secret/db"]}

    await workload.promote(canary, seen.target.revision, seen.configs)

    assert sources_of(await lab.get(DEPLOYMENT, PRIMARY)) == ["env", "db-primary", "flags"]


async def test_a_missing_config(lab: Lab) -> None:
    """Nothing is made from a target whose pods can't start; the message names what they lack."""
    await lab.add(a_secret(), configured())
    workload, canary = a_workload(lab), Canary.parse(await lab.add(a_canary()))

    for action in (workload.sight(canary, NOW), workload.ensure_primary(canary, refresh=True)):
        with pytest.raises(
            TargetError, match=r'configmap env\.shop get query error: configmaps "env" not found'
        ):
            await action


async def test_a_config_that_goes_missing_in_a_run(lab: Lab) -> None:
    """The run can still be taken back: what it released is what is seen."""
    workload, _ = await bootstrapped(lab)
    status = {"phase": "Progressing", "canaryWeight": 10, "trackedConfigs": BOTH}
    canary = Canary.parse(await lab.change(CANARY, {"status": status}, subresource="status"))
    await lab.remove(CONFIG_MAP, "env")

    assert (await workload.sight(canary, NOW)).configs == BOTH


async def test_a_change_of_configs_alone_rolls_the_primary(lab: Lab) -> None:
    """The revision is the same, yet its promotion copies the data and makes new pods, once."""
    workload, canary = await bootstrapped(lab)
    revision, configs = await edited(lab, workload, canary)

    await workload.promote(canary, revision, configs)
    lab.sent.clear()
    await workload.promote(canary, revision, configs)

    assert lab.writes() == []
    assert (await lab.get(CONFIG_MAP, "env-primary"))["data"]["CURRENCY"] == "USD"
    assert identity_of((await lab.get(DEPLOYMENT, PRIMARY))["spec"]["template"]) == "id-2"


async def test_copies_come_before_the_pods_that_read_them(lab: Lab) -> None:
    """And before both, what the copy held is kept."""
    workload, canary = await bootstrapped(lab)
    revision, configs = await edited(lab, workload, canary)
    lab.sent.clear()

    await workload.promote(canary, revision, configs)

    assert lab.writes() == ["POST configmaps", "PATCH configmaps/env-primary", f"PATCH deployments/{PRIMARY}"]


async def test_promotion_refuses_configs_that_were_not_analysed(lab: Lab) -> None:
    """A ConfigMap that changed after its analysis is not copied."""
    workload, canary = await bootstrapped(lab)
    revision, configs = await edited(lab, workload, canary)
    await lab.change(CONFIG_MAP, {"data": {"CURRENCY": "GBP"}}, "env")

    with pytest.raises(SupersededError, match=r"checkout\.shop changed after its analysis"):
        await workload.promote(canary, revision, configs)

    assert (await lab.get(CONFIG_MAP, "env-primary"))["data"]["CURRENCY"] == "EUR"


async def test_restore_brings_the_data_back(lab: Lab) -> None:
    """After a failed promotion the copies hold what they held, and the primary has its former template."""
    workload, canary = await bootstrapped(lab)
    before = await lab.get(DEPLOYMENT, PRIMARY)
    await lab.add(a_replica_set(before))
    await workload.promote(canary, *await edited(lab, workload, canary))

    await workload.restore(canary)
    await workload.restore(canary)

    assert (await lab.get(CONFIG_MAP, "env-primary"))["data"] == a_config_map()["data"]
    after = await lab.get(DEPLOYMENT, PRIMARY)
    assert after["spec"]["template"] == before["spec"]["template"]
    revision, configs = await edited(lab, workload, canary)
    await workload.promote(canary, revision, configs)
    assert (await lab.get(CONFIG_MAP, "env-primary"))["data"]["CURRENCY"] == "USD"


async def test_only_the_run_that_promoted_takes_back(lab: Lab) -> None:
    """A later run that found the primary as it wanted it must not give it what an earlier one replaced."""
    workload, canary = await bootstrapped(lab)
    await lab.add(a_replica_set(await lab.get(DEPLOYMENT, PRIMARY)))
    await workload.promote(canary, *await edited(lab, workload, canary))
    status = {"run": {"number": 2}}
    later = Canary.parse(await lab.change(CANARY, {"status": status}, subresource="status"))
    lab.sent.clear()

    await workload.restore(later)

    assert lab.writes() == []
    assert (await lab.get(CONFIG_MAP, "env-primary"))["data"]["CURRENCY"] == "USD"


async def test_keys_that_are_gone_leave_the_copy(lab: Lab) -> None:
    """A copy holds what its original does, and no more; binary data is copied too."""
    workload, canary = await bootstrapped(lab)
    change = {"data": {"LOG_FORMAT": None}, "binaryData": {"logo": "AAEC"}}
    await lab.change(CONFIG_MAP, change, "env")
    seen = await workload.sight(canary, NOW)
    assert seen.configs != BOTH

    await workload.promote(canary, seen.target.revision, seen.configs)

    env = await lab.get(CONFIG_MAP, "env-primary")
    assert (env["data"], env["binaryData"]) == ({"CURRENCY": "EUR"}, {"logo": "AAEC"})


async def test_a_secret_of_another_type(lab: Lab) -> None:
    """The type of a Secret can't be changed: the copy is made again."""
    workload, canary = await bootstrapped(lab)
    await lab.remove(SECRET, "db")
    await lab.add(a_secret(type_="kubernetes.io/basic-auth"))
    await lab.change(SECRET, {"stringData": {"password": "other"}}, "db")
    seen = await workload.sight(canary, NOW)

    await workload.promote(canary, seen.target.revision, seen.configs)

    assert (await lab.get(SECRET, "db-primary"))["type"] == "kubernetes.io/basic-auth"


async def test_two_canaries_share_a_copy(lab: Lab) -> None:
    """Both own it, one of them as its controller; neither takes it from the other again and again."""
    workload, canary = await bootstrapped(lab)
    await lab.add(configured("basket"))
    other = Canary.parse(await lab.add(a_canary("basket")))

    await workload.ensure_primary(other, refresh=True)

    owners = (await lab.get(CONFIG_MAP, "env-primary"))["metadata"]["ownerReferences"]
    assert [(owner["name"], owner["controller"]) for owner in owners] == [
        ("basket", True),
        ("checkout", False),
    ]
    await workload.promote(canary, *await edited(lab, workload, canary))
    assert (await lab.get(CONFIG_MAP, "env-primary"))["metadata"]["ownerReferences"] == owners


async def test_somebody_elses_object_is_not_overwritten(lab: Lab) -> None:
    """An object that happens to have the copy's name is used if it is the same, and refused otherwise."""
    await lab.add(a_config_map("env-primary"))
    workload, canary = await bootstrapped(lab)
    assert "ownerReferences" not in (await lab.get(CONFIG_MAP, "env-primary"))["metadata"]

    with pytest.raises(TargetError, match=r"ConfigMap env-primary\.shop is not a copy made for a Canary"):
        await workload.promote(canary, *await edited(lab, workload, canary))

    assert (await lab.get(CONFIG_MAP, "env-primary"))["data"]["CURRENCY"] == "EUR"


async def test_a_lost_primary_gets_what_was_promoted(lab: Lab) -> None:
    """It is made again with the copies that are there, not with data that nobody analysed."""
    workload, canary = await bootstrapped(lab)
    await edited(lab, workload, canary)
    await lab.remove(DEPLOYMENT, PRIMARY)

    await workload.ensure_primary(canary, refresh=False)

    assert (await lab.get(CONFIG_MAP, "env-primary"))["data"]["CURRENCY"] == "EUR"
    assert sources_of(await lab.get(DEPLOYMENT, PRIMARY))[0] == "env-primary"
