"""What the handlers share: the registry, the state, and the parts that watch over it."""

from __future__ import annotations

from dataclasses import dataclass

from flagger.sandbox.apiserver.addresses import ServiceAddresses
from flagger.sandbox.apiserver.call import Call
from flagger.sandbox.apiserver.objects import Entry
from flagger.sandbox.apiserver.rbac import Authorizer
from flagger.sandbox.apiserver.status_errors import not_found
from flagger.sandbox.apiserver.store import Store
from flagger.sandbox.apiserver.tokens import Tokens
from flagger.sandbox.apiserver.types.registry import Registry
from flagger.sandbox.apiserver.watch import Hub


@dataclass(frozen=True, slots=True)
class Backend:
    """The state of one server and the rules that need more than one object."""

    registry: Registry
    store: Store
    hub: Hub
    addresses: ServiceAddresses
    tokens: Tokens
    authorizer: Authorizer

    def entry(self, call: Call) -> Entry:
        """Return the object that a request names.

        Raises:
            ApiError: 404.
        """
        entry = self.store.get(call.kind.storage, (call.namespace, call.name))
        if entry is None:
            raise not_found(call.kind, call.name)
        return entry
