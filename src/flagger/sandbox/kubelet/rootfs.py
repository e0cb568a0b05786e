"""What a container sees of the file system: the machine's, with the pod's volumes bound over it.

Runs inside the container's process, after it got mounts of its own. Nothing is created on the machine:
where a mount path does not exist there, the process moves into a root of its own that shows the machine's
directories.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from flagger.sandbox.kubelet.linux import bind, mount_tmpfs

HOST = Path("/.host")  # the machine's own root, inside a root of our own


class Mount(msgspec.Struct, frozen=True):
    """A file or directory of the machine, and where the container finds it; both absolute."""

    source: str
    target: str


def prepare(mounts: Sequence[Mount], empty: Path) -> None:
    """Bind all volumes; `empty` is an existing directory that a root of our own may be built on.

    Raises:
        OSError: a source is missing, or the kernel refuses a mount.
    """
    ordered = sorted(mounts, key=lambda mount: mount.target)  # parents before what is mounted below them
    if all(Path(mount.target).exists() for mount in ordered):
        for mount in ordered:
            bind(mount.source, mount.target)
        return
    root = OwnRoot(empty)
    for mount in ordered:
        root.bind(Path(mount.source), Path(mount.target))


def link(mounts: Sequence[Mount], root: Path) -> None:
    """Without mounts of one's own: show volumes at their paths below `root`, as links.

    The container starts there, so that relative paths work, and finds it in `POD_ROOT`.
    """
    for mount in sorted(mounts, key=lambda mount: mount.target):
        place = root / mount.target.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            place.symlink_to(mount.source)


class OwnRoot:
    """A root directory in memory in which mount points can be made; this process lives in it from now on."""

    def __init__(self, empty: Path) -> None:
        """Show each top-level entry of the machine below `empty`, and change into it."""
        mount_tmpfs(str(empty))
        for entry in os.scandir("/"):
            show(entry, empty / entry.name)
        (empty / HOST.name).mkdir()
        bind("/", str(empty / HOST.name))
        os.chroot(empty)
        os.chdir("/")
        self._ours = {Path("/").stat().st_dev}  # file systems in which creating something does no harm
        self._volumes: list[Path] = []

    def bind(self, source: Path, target: Path) -> None:
        """Mount a volume, creating the mount point in memory if there is none."""
        source = HOST / source.relative_to("/")
        target = target.resolve()
        if not target.exists():
            self._make_room(target.parent)
            if source.is_dir():
                target.mkdir()
            else:
                target.touch()
        bind(str(source), str(target))
        self._volumes.append(target)

    def _make_room(self, folder: Path) -> None:
        """Make sure that `folder` exists and that creating an entry in it does not reach the machine."""
        existing = folder
        while not existing.is_dir():
            existing = existing.parent
        in_volume = any(existing.is_relative_to(volume) for volume in self._volumes)
        if existing.stat().st_dev not in self._ours and not in_volume:
            self._mirror(existing)
        folder.mkdir(parents=True, exist_ok=True)

    def _mirror(self, folder: Path) -> None:
        """Cover a directory of the machine with one in memory that has the same entries."""
        entries = list(os.scandir(HOST / folder.relative_to("/")))
        mount_tmpfs(str(folder))
        for entry in entries:
            show(entry, folder / entry.name)
        self._ours.add(folder.stat().st_dev)


def show(entry: "os.DirEntry[str]", target: Path) -> None:
    """Show an entry of a directory of the machine at a new place in memory."""
    if entry.is_symlink():
        target.symlink_to(Path(entry.path).readlink())
    elif entry.is_dir():
        target.mkdir()
        bind(entry.path, str(target))
    else:
        target.symlink_to(HOST / Path(entry.path.removeprefix(str(HOST))).relative_to("/"))
