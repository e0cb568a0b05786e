"""All providers whose routes are proven with real requests; a further one is a file and a row here."""

from collections.abc import Sequence

from tests.e2e.providers.app_mesh import APP_MESH
from tests.e2e.providers.contour import CONTOUR
from tests.e2e.providers.gateway_api import GATEWAY_API
from tests.e2e.providers.gloo import GLOO
from tests.e2e.providers.kubernetes import KUBERNETES
from tests.e2e.providers.kuma import KUMA
from tests.e2e.providers.linkerd import LINKERD
from tests.e2e.providers.nginx import NGINX
from tests.e2e.providers.setting import Setting
from tests.e2e.providers.smi import SMI

SETTINGS: Sequence[Setting] = (
    *APP_MESH,
    *CONTOUR,
    *GATEWAY_API,
    GLOO,
    KUBERNETES,
    KUMA,
    *LINKERD,
    NGINX,
    *SMI,
)
