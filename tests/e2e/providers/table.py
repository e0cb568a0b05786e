"""All providers whose routes are proven with real requests; a further one is a file and a row here."""

from collections.abc import Sequence

from tests.e2e.providers.setting import Setting

SETTINGS: Sequence[Setting] = ()
