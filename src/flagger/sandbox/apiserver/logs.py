"""Pod logs and other kubelet endpoints, fetched from the node that runs the pod."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
from aiohttp.web import Response, StreamResponse

from flagger.sandbox.apiserver.backend import Backend
from flagger.sandbox.apiserver.call import Call
from flagger.sandbox.apiserver.status_errors import ApiError, bad_request, internal, invalid
from flagger.sandbox.apiserver.types import causes
from flagger.sandbox.apiserver.types.resource_type import Object

PASSED_ON = ("follow", "previous", "sinceSeconds", "sinceTime", "timestamps", "tailLines", "limitBytes")
CONNECT_SECONDS = 5.0
NODES = "nodes"


def container_of(call: Call, pod: Object) -> str:
    """Return the container whose log is asked for.

    Raises:
        ApiError: 400, it is not named or not there.
    """
    spec = pod["spec"]
    names = [item["name"] for item in spec.get("containers") or ()]
    inits = [item["name"] for item in spec.get("initContainers") or ()]
    others = [item["name"] for item in spec.get("ephemeralContainers") or ()]
    asked = call.query.get("container", "")
    if not asked and len(names) == 1:
        return str(names[0])
    if not asked:
        text = f"a container name must be specified for pod {call.name}, choose one of: [{' '.join(names)}]"
        raise bad_request(text + (f" or one of the init containers: [{' '.join(inits)}]" if inits else ""))
    if asked not in (*names, *inits, *others):
        raise bad_request(f"container {asked} is not valid for pod {call.name}")
    return asked


def check_parameters(call: Call) -> None:
    """Validate the numbers among the parameters.

    Raises:
        ApiError: 422 on PodLogOptions.
    """
    problems = [
        causes.invalid(name, value, "must be greater than or equal to 0")
        for name in ("tailLines", "limitBytes", "sinceSeconds")
        if (value := call.integer(name)) is not None and value < 0
    ]
    if problems:
        raise invalid("PodLogOptions", "", call.name, problems)


def _check_started(call: Call, pod: Object, container: str) -> None:
    statuses: Sequence[Mapping[str, Any]] = (pod.get("status") or {}).get("containerStatuses") or ()
    mine = next((item for item in statuses if item["name"] == container), {})
    waiting = (mine.get("state") or {}).get("waiting")
    if waiting and not mine.get("lastState") and not mine.get("restartCount"):
        reason = waiting.get("reason", "ContainerCreating")
        text = f'container "{container}" in pod "{call.name}" is waiting to start: {reason}'
        raise bad_request(text)


def node_url(backend: Backend, name: str) -> str:
    """Return the base URL of the kubelet of a node.

    Raises:
        ApiError: 500, the node is not there or says no address.
    """
    entry = backend.store.get(NODES, ("", name))
    status = (entry.load().get("status") or {}) if entry else {}
    port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port")
    address = next(
        (item["address"] for item in status.get("addresses") or () if item["type"] == "InternalIP"), None
    )
    if not port or not address:
        raise internal(f'node "{name}" has no kubelet endpoint')
    return f"http://{address}:{port}"


async def pod_log(backend: Backend, call: Call) -> StreamResponse:
    """Answer GET …/pods/NAME/log by passing on what the kubelet sends."""
    pod = backend.entry(call).load()
    check_parameters(call)
    container = container_of(call, pod)
    _check_started(call, pod, container)
    if not pod["spec"].get("nodeName"):
        return Response(text="", headers={"Content-Type": "text/plain"})  # nothing runs: nothing to tell
    url = (
        f"{node_url(backend, pod['spec']['nodeName'])}/containerLogs/{call.namespace}/{call.name}/{container}"
    )
    parameters = {name: call.query[name] for name in PASSED_ON if name in call.query}
    # A followed log has no end: only the connection and silence of a one-off read are limited.
    limit = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=limit, trust_env=False) as session,
            session.get(url, params=parameters) as source,
        ):
            return await _passed_on(backend, call, source)
    except aiohttp.ClientError as error:
        raise internal(f"Get {url}: {error}") from error


async def _passed_on(backend: Backend, call: Call, source: aiohttp.ClientResponse) -> StreamResponse:
    if source.status != 200:
        text = (await source.content.read(4096)).decode(errors="replace").strip()
        raise ApiError(source.status, "BadRequest" if source.status == 400 else "NotFound", text)
    response = StreamResponse(headers={"Content-Type": "text/plain", "Cache-Control": "no-cache, private"})
    response.enable_chunked_encoding()
    await response.prepare(call.request)
    await backend.hub.unless_closing(_copied(source, response))
    return response


async def _copied(source: aiohttp.ClientResponse, response: StreamResponse) -> None:
    async for data in source.content.iter_any():
        await response.write(data)
