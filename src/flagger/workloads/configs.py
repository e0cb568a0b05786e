"""ConfigMaps and Secrets of a target: what they are now, and the primary's own copies of them.

The primary refers to `<name>-primary`, which changes only when a release is promoted. What a copy held before
is kept in `<name>-primary-previous` until the next change, so that a failed promotion can be undone.
Contents are read when they are copied and never logged.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import structlog

from flagger.api.canary import Canary
from flagger.kube.apply import merge_patch
from flagger.kube.cluster import Cluster
from flagger.kube.errors import NotFound
from flagger.kube.objects import CONFIG_MAP, SECRET, Kind, Object, labels_of, name_of, resource_version_of
from flagger.workloads.base import Options, SupersededError, TargetError
from flagger.workloads.checksums import checksum_of, tracked_checksum
from flagger.workloads.metadata import with_prefix
from flagger.workloads.references import Reference, references_of

log = structlog.get_logger(__name__)

_KINDS = {kind.kind.lower(): kind for kind in (CONFIG_MAP, SECRET)}
_PAYLOAD = ("type", "data", "binaryData")


@dataclass(frozen=True, slots=True)
class Scan:
    """What a template refers to.

    `tracked` maps keys to checksums and is None where tracking is off, `watched` is everything whose change
    may matter, also what does not exist yet, and `missing` says what the pods can't start without.
    """

    tracked: Mapping[str, str] | None = None
    watched: frozenset[tuple[Kind, str]] = frozenset()
    missing: tuple[Reference, ...] = ()

    def complete(self, namespace: str) -> Mapping[str, str] | None:
        """What is tracked.

        Raises:
            TargetError: something mandatory does not exist.
        """
        for kind, name in self.missing:
            what = f"{kind.kind.lower()} {name}.{namespace}"
            raise TargetError(f'{what} get query error: {kind.resource} "{name}" not found')
        return self.tracked


class Configs:
    """Reads through the caches what has to be known, and from the server what has to be copied."""

    def __init__(self, cluster: Cluster, options: Options) -> None:
        self._cluster = cluster
        self._options = options

    async def scan(self, canary: Canary, template: Object) -> Scan:
        """Look up everything that a template refers to."""
        if not self._options.track_configs:
            return Scan()
        tracked, missing = {}, []
        references = references_of(template)
        for reference, mandatory in references.items():
            obj = await self._cluster.get(reference.kind, canary.namespace, reference.name)
            checksum = tracked_checksum(obj)
            if checksum is not None:
                tracked[reference.key] = checksum
            elif obj is None and mandatory:
                missing.append(reference)
        watched = frozenset((reference.kind, reference.name) for reference in references)
        return Scan(tracked, watched, tuple(missing))

    async def copy(
        self, canary: Canary, tracked: Mapping[str, str], *, overwrite: bool = True
    ) -> dict[str, str]:
        """Give the primary its copies; returns their checksums.

        Without `overwrite`, copies that are there already keep what was promoted into them.

        Raises:
            SupersededError: a source no longer is what the checksum says; nothing was copied.
            TargetError: something else already has the name of a copy.
        """
        sources = [await self._source(canary, key, checksum) for key, checksum in tracked.items()]
        copied = {}
        for (key, _), (kind, source) in zip(tracked.items(), sources, strict=True):
            name = f"{name_of(source)}-primary"
            live = await self._live(kind, canary, name)
            if live is not None and not overwrite:
                copied[key] = checksum_of(live)
                continue
            if live is not None and _payload(live) != _payload(source):
                _refuse_foreign(live, kind, canary)
                await self._write(canary, kind, f"{name}-previous", live)
            await self._write(canary, kind, name, source)
            copied[key] = checksum_of(source)
        return copied

    async def restore(self, canary: Canary, tracked: Mapping[str, str]) -> None:
        """Give the copies the content that they had when these were their checksums, where it is still known."""
        for key, checksum in tracked.items():
            kind, name = _named(key)
            live = await self._live(kind, canary, f"{name}-primary")
            if live is not None and checksum_of(live) == checksum:
                continue
            previous = await self._live(kind, canary, f"{name}-primary-previous")
            if previous is None or checksum_of(previous) != checksum:
                log.warning("no former content to restore", canary=canary.key, config=key)
                continue
            await self._write(canary, kind, f"{name}-primary", previous)

    async def _source(self, canary: Canary, key: str, checksum: str) -> tuple[Kind, Object]:
        kind, name = _named(key)
        source = await self._live(kind, canary, name)
        if source is None or checksum_of(source) != checksum:
            raise SupersededError(
                f"{key} of {canary.target_name}.{canary.namespace} changed after its analysis"
            )
        return kind, source

    async def _live(self, kind: Kind, canary: Canary, name: str) -> Object | None:
        try:
            return await self._cluster.client.get(kind, name, canary.namespace)
        except NotFound:
            return None

    async def _write(self, canary: Canary, kind: Kind, name: str, source: Object) -> None:
        """Make `name` hold what `source` does; a request only where something differs."""
        live = await self._live(kind, canary, name)
        if live is not None and live.get("type") != source.get("type"):  # which can't be changed
            _refuse_foreign(live, kind, canary)
            await self._cluster.delete(kind, name, canary.namespace)
            live = None
        payload = {field: source[field] for field in _PAYLOAD if source.get(field)}
        if live is None:
            metadata = {"name": name, "namespace": canary.namespace, **self._metadata(canary, source, ())}
            await self._cluster.create(kind, {"metadata": metadata, **payload})
        elif _is_ours(live):
            await self._update(canary, kind, live, source, payload)
        elif _payload(live) != _payload(source):
            _refuse_foreign(live, kind, canary)
        log.debug("config copied", canary=canary.key, kind=kind.kind, name=name)

    async def _update(
        self, canary: Canary, kind: Kind, live: Object, source: Object, payload: Object
    ) -> None:
        owners = live["metadata"]["ownerReferences"]
        metadata = self._metadata(canary, source, owners)
        if any(owner["uid"] == canary.metadata.uid for owner in owners):
            metadata["ownerReferences"] = owners  # who shares a copy need not become its controller in turn
        before = {"labels": labels_of(live), "ownerReferences": owners}
        patch = merge_patch({**_payload(live), "metadata": before}, {**payload, "metadata": metadata})
        if patch:
            patch.setdefault("metadata", {})["resourceVersion"] = resource_version_of(live)
            await self._cluster.patch(kind, name_of(live), canary.namespace, patch)

    def _metadata(self, canary: Canary, source: Object, owners: Iterable[Object]) -> Object:
        """Labels by prefix; the owner is this Canary, beside others that share the copy."""
        former = ("Canary", canary.name)
        others = [
            {**owner, "controller": False} for owner in owners if (owner["kind"], owner["name"]) != former
        ]
        return {
            "labels": with_prefix(labels_of(source), self._options.prefixes),
            "ownerReferences": [canary.owner_reference, *others],
        }


def note_of(tracked: Mapping[str, str] | None) -> str | None:
    """Keys and checksums as an annotation; None for nothing."""
    return json.dumps(dict(tracked), sort_keys=True, separators=(",", ":")) if tracked else None


def read_note(text: str | None) -> dict[str, str]:
    """The keys and checksums of a note; nothing where there is none that can be read."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _named(key: str) -> tuple[Kind, str]:
    kind, _, name = key.partition("/")
    return _KINDS[kind], name


def _payload(obj: Object) -> Object:
    return {field: obj.get(field) or None for field in _PAYLOAD}


def _is_ours(obj: Object) -> bool:
    return any(owner["kind"] == "Canary" for owner in obj["metadata"].get("ownerReferences") or ())


def _refuse_foreign(obj: Object, kind: Kind, canary: Canary) -> None:
    """Somebody's own object is used as it is if it holds the same, but never overwritten."""
    if not _is_ours(obj):
        raise TargetError(
            f"{kind.kind} {name_of(obj)}.{canary.namespace} is not a copy made for a Canary; rename it, or "
            "annotate its original with flagger.app/config-tracking: disabled"
        )
