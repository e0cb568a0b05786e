"""From an AlertProvider and its Secret to a receiver whose settings are known to be usable."""

import base64
import binascii
from urllib.parse import urlsplit

from yarl import URL

from flagger.api.alert_provider import AlertProvider
from flagger.api.errors import FieldError
from flagger.api.names import GROUP, VERSION
from flagger.api.references import Key
from flagger.kube.cluster import Cluster
from flagger.kube.objects import SECRET, Kind, Object
from flagger.notify.message import Receiver

ALERT_PROVIDER = Kind(GROUP, VERSION, "AlertProvider", "alertproviders")


async def find_receiver(cluster: Cluster, key: Key) -> Receiver:
    """Return the receiver that an AlertProvider describes.

    Raises:
        FieldError: the provider or its Secret is missing or unusable.
        KubeError: one of them cannot be read.
    """
    obj = await cluster.get(ALERT_PROVIDER, key.namespace, key.name)
    if obj is None:
        raise FieldError("", "not found", "create it or correct the name")
    spec = AlertProvider.parse(obj).spec
    address, token, field = spec.address.strip(), "", "spec.address"
    if spec.secret_ref is not None:
        secret = await _secret(cluster, Key(key.namespace, spec.secret_ref.name))
        address, token, field = _value(secret, "address"), _value(secret, "token"), "spec.secretRef"
    if not address:
        raise FieldError(field, "there is no address", "name the URL, in a Secret under the key address")
    return Receiver(
        type=spec.type,
        address=usable_url(address, field),
        token=token,
        channel=spec.channel_or_default,
        username=spec.username_or_default,
        proxy=usable_proxy(spec.proxy, "spec.proxy"),
    )


def usable_url(url: str, field: str) -> str:
    """Return `url` if it is an absolute http or https URL; the error doesn't repeat it, it may be a secret.

    Raises:
        FieldError: it is not; `field` is where it was found.
    """
    try:
        usable = URL(url).scheme in ("http", "https") and bool(URL(url).host) and bool(urlsplit(url).netloc)
    except ValueError:
        usable = False
    if not usable:
        problem = "the address is not a valid http or https URL"
        raise FieldError(field, problem, "write scheme, host and path")
    return url


def usable_proxy(proxy: str, field: str) -> str:
    """Return the URL of a proxy, of which host and port suffice; empty stays empty.

    Raises:
        FieldError: it is no URL of an HTTP proxy; `field` is where it was found.
    """
    proxy = proxy.strip()
    return usable_url(proxy if "://" in proxy else f"http://{proxy}", field) if proxy else ""


async def _secret(cluster: Cluster, key: Key) -> Object:
    secret = await cluster.get(SECRET, key.namespace, key.name)
    if secret is None:
        problem = f"Secret {key.namespace}/{key.name} not found"
        raise FieldError("spec.secretRef.name", problem, "create it or correct the name")
    return secret


def _value(secret: Object, name: str) -> str:
    """Return a value of a Secret without the white space around it; empty when it is absent."""
    try:
        text = base64.b64decode((secret.get("data") or {}).get(name) or "", validate=True)
    except (binascii.Error, ValueError) as error:
        raise FieldError("spec.secretRef", f"the key {name} is not base64", "encode it") from error
    return text.decode(errors="replace").strip()
