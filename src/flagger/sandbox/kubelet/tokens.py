"""Tokens of service accounts for the volumes that ask for them (authentication.k8s.io/v1 TokenRequest)."""

import msgspec
import structlog

from flagger.kube.client import Client
from flagger.kube.errors import KubeError
from flagger.kube.objects import SERVICE_ACCOUNT, Object, name_of, namespace_of

LIFETIME = 365 * 24 * 3600  # seconds; nothing here renews a token

log = structlog.get_logger(__name__)


async def token_files(client: Client, pod: Object) -> dict[str, str]:
    """A token for each projected token source, by its path in the volume; one that is refused is left out."""
    found: dict[str, str] = {}
    for volume in pod["spec"].get("volumes") or ():
        for source in volume.get("projected", {}).get("sources") or ():
            if wanted := source.get("serviceAccountToken"):
                try:
                    found[wanted["path"]] = await request(client, pod, wanted)
                except KubeError as error:
                    log.warning("no token for a pod", pod=name_of(pod), problem=str(error))
    return found


async def request(client: Client, pod: Object, wanted: Object) -> str:
    """A new token of the pod's service account."""
    account = pod["spec"].get("serviceAccountName") or "default"
    audiences = [wanted["audience"]] if wanted.get("audience") else []
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"audiences": audiences, "expirationSeconds": LIFETIME},
    }
    path = SERVICE_ACCOUNT.path(namespace_of(pod), account, "token")
    headers = {"Content-Type": "application/json"}
    answer = await client.raw("POST", path, body=msgspec.json.encode(body), headers=headers)
    return str(msgspec.json.decode(answer)["status"]["token"])
