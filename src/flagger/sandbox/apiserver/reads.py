"""The get and list verbs."""

from __future__ import annotations

from flagger.sandbox.apiserver.backend import Backend
from flagger.sandbox.apiserver.call import Call
from flagger.sandbox.apiserver.lists import asked_revision, page, reading_of, selection_of
from flagger.sandbox.apiserver.present import Answer, list_of, raw_of, view_of
from flagger.sandbox.apiserver.status_errors import revision_too_large

FUTURE_SECONDS = 3.0
"""How long a read waits for a revision that has not happened yet."""


async def get(backend: Backend, call: Call) -> Answer:
    """Answer a GET of one object."""
    await wait_for_revision(backend, call)
    return Answer(200, raw_of(call.kind, backend.entry(call)))


async def list_objects(backend: Backend, call: Call) -> Answer:
    """Answer a GET of a collection."""
    selection, reading, view = selection_of(call), reading_of(call), view_of(call)
    await wait_for_revision(backend, call)
    found = page(backend.store, selection, reading, custom=call.kind.custom)
    return Answer(200, list_of(view, found.entries, found.metadata))


async def wait_for_revision(backend: Backend, call: Call) -> None:
    """Wait for the asked revision, within limits.

    Raises:
        ApiError: 504, it has not come.
    """
    asked = asked_revision(call)
    if asked and not await backend.hub.reached(asked, FUTURE_SECONDS):
        raise revision_too_large(asked, backend.store.revision)
