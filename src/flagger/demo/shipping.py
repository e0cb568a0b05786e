"""A release by hand on the demo's stage: pushed, sent users to, and followed to its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from flagger.demo.release import push
from flagger.demo.scene import CANARY, Reference, way_in
from flagger.demo.story import State, Story
from flagger.demo.traffic import Users
from flagger.kube.client import Client
from flagger.kube.cluster import Cluster
from flagger.kube.kubeconfig import load_connection
from flagger.kube.objects import EVENT, Object, name_of

WAY_IN_WITHIN, BEGUN_WITHIN, OVER_WITHIN, SAID_WITHIN = 5.0, 10.0, 600.0, 1.0  # seconds

Say = Callable[[str], None]


async def ship(kubeconfig: Path, deployment: Reference, tag: str, say: Say, *, fail_every: int = 0) -> str:
    """Release `tag`, with users on the way, and tell of it; returns the phase in which the Canary ended.

    That is empty when no Canary looks after the Deployment, or when nothing came of the push.

    Raises:
        KubeError: there is no such Deployment, or it can't be changed.
    """
    async with Client(load_connection(kubeconfig)) as client, Cluster(client) as cluster:
        canary = await _canary_of(cluster, deployment)
        story = Story(_teller(say), namespace=deployment.namespace, name=name_of(canary) if canary else "")
        await _catch_up(cluster, story)
        image = await push(client, deployment.namespace, deployment.name, tag, fail_every=fail_every)
        say(f"deployment {deployment.name}.{deployment.namespace} has the image {image} now")
        if canary is None:
            say("no Canary looks after it")
            return ""
        return await _follow(story, await _users(client, canary), say)


def _teller(say: Say) -> Callable[[State, str, bool], None]:
    begun = time.monotonic()

    def tell(state: State, text: str, _: bool) -> None:
        say(f"{time.monotonic() - begun:04.1f} {state.phase} {state.weight}%: {text}")

    return tell


async def _catch_up(cluster: Cluster, story: Story) -> None:
    """Know what happened until now, so that only what follows is told."""
    for kind in (CANARY, EVENT):
        await cluster.list(kind)
    story.follow(cluster)
    story.new_chapter()


async def _follow(story: Story, users: Users | None, say: Say) -> str:
    """Send users until the run that has been asked for is over."""
    async with asyncio.TaskGroup() as group:
        sending = [group.create_task(users.run())] if users else []
        begun = await story.until(lambda: bool(story.chapter.told) and not story.over, BEGUN_WITHIN)
        over = begun and await story.until(lambda: story.over, OVER_WITHIN)
        for task in sending:
            task.cancel()
    await story.until(lambda: story.last_word, SAID_WITHIN if over else 0.0)
    if users is not None:
        say(f"users: {users.total.answered} requests answered, {users.total.failed} failed")
    if not begun:
        say(f"nothing happened within {BEGUN_WITHIN:.0f} s: is an operator running, is this a new version?")
    return story.state.phase if over else ""


async def _canary_of(cluster: Cluster, deployment: Reference) -> Object | None:
    canaries = await cluster.list(CANARY, deployment.namespace)
    return next((found for found in canaries if found["spec"]["targetRef"]["name"] == deployment.name), None)


async def _users(client: Client, canary: Object) -> Users | None:
    """Users who come through the Gateway that the Canary names; without traffic, no analysis can pass."""
    service: dict[str, Any] = canary["spec"].get("service") or {}
    gateways, hosts = service.get("gatewayRefs") or [], service.get("hosts") or []
    if not gateways or not hosts:
        return None
    gateway = Reference(gateways[0].get("namespace") or canary["metadata"]["namespace"], gateways[0]["name"])
    with suppress(TimeoutError):
        async with asyncio.timeout(WAY_IN_WITHIN):
            return Users(await way_in(client, gateway, hosts[0]), hosts[0])
    return None
