"""System calls that Python 3.11 has no name for: namespaces, mounts, and what happens when a parent dies."""

import ctypes
import os
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
PR_SET_CHILD_SUBREAPER = 36

LIBC = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: object) -> None:
    """Call a function of libc.

    Raises:
        OSError: it failed; names the function.
    """
    if getattr(LIBC, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def die_with_parent(signal_number: int) -> None:
    """Have the kernel send this process a signal when the thread that forked it ends.

    To be called after a change of user namespace, which resets it.
    """
    call("prctl", PR_SET_PDEATHSIG, signal_number, 0, 0, 0)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends."""
    call("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def set_name(name: str) -> None:
    """The name that `ps` and `top` show (15 bytes of it)."""
    call("prctl", PR_SET_NAME, name.encode()[:15], 0, 0, 0)


def unshare_mounts(*, as_user: bool) -> None:
    """Give this process mounts of its own; `as_user`: by way of a user namespace, in which it is root.

    Raises:
        OSError: the machine does not allow it.
    """
    uid, gid = os.getuid(), os.getgid()
    call("unshare", CLONE_NEWNS | (CLONE_NEWUSER if as_user else 0))
    if as_user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    call("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)


def bind(source: str, target: str) -> None:
    """Show a file or a directory, with all that is mounted below it, at another place too."""
    call("mount", source.encode(), target.encode(), None, MS_BIND | MS_REC, None)


def mount_tmpfs(target: str) -> None:
    """Put an empty directory in memory over an existing one."""
    call("mount", b"tmpfs", target.encode(), b"tmpfs", 0, b"mode=755")
