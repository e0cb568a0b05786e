"""Pushes a new version as a user would: by changing the Deployment's image."""

from __future__ import annotations

from typing import Any

from flagger.kube.client import Client
from flagger.kube.errors import Conflict
from flagger.kube.objects import DEPLOYMENT

FAULT = "PODINFO_FAIL_EVERY"


async def push(client: Client, namespace: str, name: str, tag: str, *, fail_every: int = 0) -> str:
    """Give the first container the image tag `tag`; returns the image.

    `fail_every` tells the sample app to fail every so many requests; 0 takes that away.

    Raises:
        KubeError: there is no such Deployment, or it can't be changed.
    """
    while True:
        try:
            return await _push(client, namespace, name, tag, fail_every)
        except Conflict:
            continue  # its status was written meanwhile


async def _push(client: Client, namespace: str, name: str, tag: str, fail_every: int) -> str:
    deployment = await client.get(DEPLOYMENT, name, namespace)
    containers: list[dict[str, Any]] = deployment["spec"]["template"]["spec"]["containers"]
    first = containers[0]
    first["image"] = with_tag(first["image"], tag)
    environment = [item for item in first.pop("env", None) or [] if item["name"] != FAULT]
    if fail_every:
        environment.append({"name": FAULT, "value": str(fail_every)})
    if environment:
        first["env"] = environment
    version = {"resourceVersion": deployment["metadata"]["resourceVersion"]}
    body = {"metadata": version, "spec": {"template": {"spec": {"containers": containers}}}}
    await client.patch(DEPLOYMENT, name, namespace, body)
    return str(first["image"])


def with_tag(image: str, tag: str) -> str:
    """The image with another tag; a port of its registry is none."""
    path, _, last = image.rpartition("/")
    return f"{path}{'/' if path else ''}{last.partition('@')[0].partition(':')[0]}:{tag}"
