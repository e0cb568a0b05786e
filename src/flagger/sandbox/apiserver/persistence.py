"""The state on disk: SQLite in WAL mode, one writer thread, group commit.

A write is acknowledged after its commit. Changes may be seen a moment earlier; a restart therefore goes on
with a higher revision, and whoever saw more than was kept gets a 410 and lists again.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from flagger.sandbox.apiserver.objects import Key
from flagger.sandbox.apiserver.store import Change

FILE = "apiserver.db"
REVISION_GAP = 1000
"""How far the revision jumps at a restart, so that nothing seen but not kept can be resumed from."""
SCHEMA = """
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS objects (
    storage TEXT, namespace TEXT, name TEXT, revision INTEGER, raw BLOB,
    PRIMARY KEY (storage, namespace, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value BLOB);
"""


class DataInUseError(RuntimeError):
    """Another server keeps its state in this directory."""


class Durable(Protocol):
    """What the handler needs to know before it acknowledges a write."""

    async def durable(self) -> None:
        """Wait until everything written so far is kept."""


class InMemory:
    """No journal: a write is as durable as the process."""

    async def durable(self) -> None:
        """Return at once."""


@dataclass(frozen=True, slots=True)
class Row:
    """One object as it is kept; `raw` is None for one that is gone."""

    storage: str
    key: Key
    revision: int
    raw: bytes | None


def _open(path: Path) -> sqlite3.Connection:
    """Open the database for this process alone, readable for its user alone."""
    database = sqlite3.connect(path, timeout=0.5, check_same_thread=False, isolation_level=None)
    path.chmod(0o600)
    try:
        database.executescript(SCHEMA)
    except sqlite3.OperationalError as error:
        database.close()
        raise DataInUseError(f"{path}: {error}; stop the server that uses it") from error
    return database


class Journal:
    """Keeps every change in a database."""

    def __init__(self, folder: Path) -> None:
        """Open or make the database.

        Raises:
            DataInUseError: another server has it open.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="apiserver-journal")
        self._database = _open(folder / FILE)
        self._pending: list[Row] = []
        self._waiting: asyncio.Future[None] | None = None
        """Done when the pending rows are committed."""
        self._running: asyncio.Future[None] | None = None
        """Done when the rows that are being written are committed."""
        self._writer: asyncio.Task[None] | None = None

    def fact(self, name: str) -> bytes | None:
        """Return something else that was kept, such as a key."""
        row = self._database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def keep_fact(self, name: str, value: bytes) -> None:
        """Keep something else, at once."""
        self._database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def load(self) -> Sequence[Row]:
        """Return everything that is kept."""
        rows = self._database.execute("SELECT storage, namespace, name, revision, raw FROM objects")
        return [
            Row(storage, (namespace, name), revision, raw) for storage, namespace, name, revision, raw in rows
        ]

    def revision(self) -> int:
        """Return the last revision that was kept."""
        return int(self.fact("revision") or 0)

    def record(self, change: Change) -> None:
        """Note a change; it is written soon, together with others."""
        raw = None if change.gone else change.entry.raw
        self._pending.append(Row(change.storage, change.entry.key, change.revision, raw))
        if self._waiting is None:
            self._waiting = asyncio.get_running_loop().create_future()
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all())

    async def _write_all(self) -> None:
        loop = asyncio.get_running_loop()
        while self._pending and self._waiting is not None:
            rows, done = self._pending, self._waiting
            self._pending, self._waiting, self._running = [], None, done
            try:
                await loop.run_in_executor(self._thread, self._commit, rows)
            except sqlite3.Error as error:
                self._pending = [*rows, *self._pending]  # the next write tries again
                done.set_exception(error)
                done.exception()  # it reaches whoever waits; nobody may
            else:
                done.set_result(None)

    def _commit(self, rows: Iterable[Row]) -> None:
        """Write rows in one transaction (in the writer thread)."""
        self._database.execute("BEGIN")
        try:
            self._write(rows)
        except sqlite3.Error:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def _write(self, rows: Iterable[Row]) -> None:
        database = self._database
        for row in rows:
            if row.raw is None:
                where = (row.storage, *row.key)
                database.execute(
                    "DELETE FROM objects WHERE storage = ? AND namespace = ? AND name = ?", where
                )
            else:
                values = (row.storage, *row.key, row.revision, row.raw)
                database.execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?)", values)
            database.execute(
                "INSERT OR REPLACE INTO facts VALUES ('revision', ?)", (str(row.revision).encode(),)
            )

    async def durable(self) -> None:
        """Wait until everything recorded so far is committed."""
        last = self._waiting or self._running
        if last is not None and not last.done():
            await asyncio.shield(last)

    async def close(self) -> None:
        """Write what is pending, and close the database."""
        await self.durable()
        self._thread.shutdown()
        self._database.close()
