"""All providers whose routes are proven with real requests; a further one is a file and a row here."""

from collections.abc import Sequence

from tests.e2e.providers.apisix import APISIX
from tests.e2e.providers.gateway_api import GATEWAY_API
from tests.e2e.providers.kubernetes import KUBERNETES
from tests.e2e.providers.setting import Setting
from tests.e2e.providers.skipper import SKIPPER
from tests.e2e.providers.traefik import TRAEFIK

SETTINGS: Sequence[Setting] = (
    APISIX,
    *GATEWAY_API,
    KUBERNETES,
    SKIPPER,
    TRAEFIK,
)
