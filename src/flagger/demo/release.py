"""Pushes a new version as a user would: by changing the Deployment's image."""

from __future__ import annotations

from pathlib import Path

from flagger.kube.client import Client, PatchType
from flagger.kube.kubeconfig import load_connection
from flagger.kube.objects import DEPLOYMENT


async def push(client: Client, namespace: str, name: str, tag: str, *, fail_every: int = 0) -> str:
    """Give the first container the image tag `tag`; returns the image.

    `fail_every` tells the sample app to fail every so many requests; 0 takes that away.
    """
    deployment = await client.get(DEPLOYMENT, name, namespace)
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    image = f"{container['image'].rpartition(':')[0]}:{tag}"
    value = str(fail_every) if fail_every else None
    fault = {"name": "PODINFO_FAIL_EVERY", **({"value": value} if value else {"$patch": "delete"})}
    patch = {"containers": [{"name": container["name"], "image": image, "env": [fault]}]}
    await client.patch(
        DEPLOYMENT, name, namespace, {"spec": {"template": {"spec": patch}}}, content=PatchType.STRATEGIC
    )
    return image


async def set_tag(kubeconfig: Path, namespace: str, name: str, tag: str) -> str:
    """Push with a client of its own; returns a sentence that says what was done."""
    async with Client(load_connection(kubeconfig)) as client:
        image = await push(client, namespace, name, tag)
    return f"deployment {name}.{namespace} now has the image {image}; watch it:  kubectl get canaries -n {namespace} -w"
