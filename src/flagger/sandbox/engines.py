"""Whose API server a sandbox has: the embedded one, or real control-plane binaries."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Collection
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from flagger.sandbox.apiserver.server import ApiServer
from flagger.sandbox.control_plane import control_plane
from flagger.sandbox.options import Options
from flagger.sandbox.slots import Slot, take_slot

SITE = "site.json"


class Site(msgspec.Struct, frozen=True):
    """Where a cluster with a data directory lives: its Services keep their addresses, its clients the port."""

    slot: int
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A running API server. `controllers` are those of ours that are wanted, None for all."""

    kubeconfig: Path
    slot: Slot
    controllers: Collection[str] | None = None


async def start_engine(stack: AsyncExitStack, options: Options) -> Engine:
    """Start the API server; it ends with `stack`.

    Raises:
        ControlPlaneError: the binaries are missing or did not start.
        NoFreeSlotError: no range of addresses is free, or not the one that the data directory needs.
    """
    kubeconfig = options.state_dir / "kubeconfig"
    if options.engine == "envtest":
        return _real(stack, options.state_dir, kubeconfig)
    return await _embedded(stack, options.data_dir, kubeconfig)


async def _embedded(stack: AsyncExitStack, data_dir: Path | None, kubeconfig: Path) -> Engine:
    kept = _read_site(data_dir)
    slot = stack.enter_context(take_slot(kept.slot if kept else None))
    port = kept.port if kept and _is_free(kept.port) else 0
    server = ApiServer(data_dir, service_cidr=slot.services, port=port)
    await stack.enter_async_context(server)
    if data_dir is not None:
        _write_site(data_dir, Site(slot.number, urlsplit(server.url).port or 0))
    _fill(kubeconfig, server.kubeconfig())
    return Engine(kubeconfig=kubeconfig, slot=slot)


def _real(stack: AsyncExitStack, state_dir: Path, kubeconfig: Path) -> Engine:
    folder = state_dir / "run" / "control-plane"
    shutil.rmtree(folder, ignore_errors=True)  # a certificate and a store of an earlier life
    slot = stack.enter_context(take_slot())
    plane = stack.enter_context(control_plane(folder, service_cidr=slot.services, controllers=True))
    _fill(kubeconfig, plane.kubeconfig.read_text())
    ours = ("scheduler",) if plane.controllers else None
    return Engine(kubeconfig=kubeconfig, slot=slot, controllers=ours)


def _fill(kubeconfig: Path, text: str) -> None:
    """Write a file that only its owner may read."""
    kubeconfig.unlink(missing_ok=True)
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(text)


def _write_site(data_dir: Path, site: Site) -> None:
    (data_dir / SITE).write_bytes(msgspec.json.encode(site))


def _read_site(data_dir: Path | None) -> Site | None:
    if data_dir is None:
        return None
    try:
        return msgspec.json.decode((data_dir / SITE).read_bytes(), type=Site)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server itself does
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
