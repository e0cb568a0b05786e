"""Events do not stay: they are removed an hour after they were last written."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from flagger.sandbox.apiserver.objects import Entry
from flagger.sandbox.apiserver.store import Store

EVENTS = "events"
LIFETIME = timedelta(hours=1)
INTERVAL = timedelta(minutes=1)


def last_seen(entry: Entry) -> datetime:
    """Return when an Event was last counted up, or created."""
    event = entry.load()
    series = event.get("series") or {}
    times = (
        series.get("lastObservedTime"),
        event.get("lastTimestamp"),
        event["metadata"]["creationTimestamp"],
    )
    return max(datetime.fromisoformat(time) for time in times if time)


def expire(store: Store, now: datetime) -> int:
    """Remove Events that are too old; returns how many."""
    old = [entry for entry in store.entries(EVENTS) if last_seen(entry) < now - LIFETIME]
    for entry in old:
        store.remove(EVENTS, entry.key)
    return len(old)


async def keep_expiring(store: Store) -> None:
    """Remove old Events until cancelled."""
    while True:
        await asyncio.sleep(INTERVAL.total_seconds())
        expire(store, datetime.now(UTC))
