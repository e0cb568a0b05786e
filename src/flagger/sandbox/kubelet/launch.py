"""From a forked process to a container: what to run, and the steps that turn this process into it.

Runs in the child of the fork server, single-threaded, before anything else; never returns.
"""

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path

import msgspec

from flagger.sandbox.kubelet.leftovers import note_process
from flagger.sandbox.kubelet.linux import die_with_parent, set_name, unshare_mounts
from flagger.sandbox.kubelet.rootfs import Mount, link, prepare
from flagger.sandbox.podinfo.check import check as podcli
from flagger.sandbox.podinfo.main import main as podinfo

App = Callable[[Sequence[str], Mapping[str, str]], int]

# Programs that need no image and no start-up time: they are part of the fork server.
APPS: Mapping[str, App] = {"podinfo": podinfo, "podcli": podcli}

CANNOT_START = 128  # exit code of a container that could not be started, as runc reports it


class Isolation(StrEnum):
    """How a container gets mounts of its own on this machine."""

    ROOT = "root"  # plainly: we are privileged
    USER = "user"  # in a user namespace
    NONE = "none"  # not at all: it sees the machine as it is


class Launch(msgspec.Struct, frozen=True):
    """What a container's process is to become.

    `app` names a row of `APPS`, which gets `argv` without a program's name; else `argv` is a command line.
    `root` is a directory of the pod's; `pid_file` is where the process is noted down, if anywhere.
    """

    argv: list[str]
    env: dict[str, str]
    cwd: str
    root: str
    mounts: list[Mount] = []
    app: str = ""
    pid_file: str = ""
    isolation: Isolation = Isolation.NONE


def become(launch: Launch, parent: int) -> None:
    """Turn this process into the container.

    Raises:
        OSError: a mount, the working directory or the program is missing or refused.
    """
    os.setsid()
    if launch.pid_file:
        note_process(Path(launch.pid_file))
    if launch.isolation == Isolation.NONE:
        link(launch.mounts, Path(launch.root))
    else:
        unshare_mounts(as_user=launch.isolation == Isolation.USER)
        prepare(launch.mounts, Path(launch.root))
    die_with_parent(signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the kernel was asked to tell
        os._exit(CANNOT_START)
    os.chdir(working_directory(launch))
    os.environ.clear()
    os.environ.update(launch.env)
    os.umask(0o022)
    if launch.app:
        set_name(launch.app)
        finish(APPS[launch.app](launch.argv, launch.env))
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and a program would inherit that
    try:
        os.execvpe(launch.argv[0], launch.argv, launch.env)
    except (FileNotFoundError, PermissionError) as error:
        if "/" in launch.argv[0]:
            raise
        raise OSError(f'exec: "{launch.argv[0]}": executable file not found in $PATH') from error


def working_directory(launch: Launch) -> str:
    """Where a container starts: where it wants to, if that exists; else where its volumes are."""
    inside = f"{launch.root}/{launch.cwd.lstrip('/')}"
    wanted = [inside, launch.cwd] if launch.isolation == Isolation.NONE else [launch.cwd]
    return next((folder for folder in wanted if Path(folder).is_dir()), launch.root)


def finish(code: int) -> None:
    """End this process without the exit handlers that belong to the fork server."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def redirect(output: int) -> None:
    """Read from nowhere, write to the container's log; let signals do what a program expects of them."""
    for descriptor, number in ((os.open(os.devnull, os.O_RDONLY), 0), (output, 1), (output, 2)):
        os.dup2(descriptor, number)
    sys.stdout = open(1, "w", buffering=1, encoding="utf-8", closefd=False)  # noqa: SIM115  lives on
    sys.stderr = open(2, "w", buffering=1, encoding="utf-8", closefd=False)  # noqa: SIM115  lives on
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def run(letter: int, output: int, parent: int) -> None:
    """Become the container that the file `letter` describes; if that fails, leave the reason in its place.

    Both are open file descriptors; `parent` is the process that forked this one. Never returns.
    """
    try:
        redirect(output)
        launch = msgspec.json.decode(os.pread(letter, os.fstat(letter).st_size, 0), type=Launch)
        os.closerange(3, letter)
        os.closerange(letter + 1, os.sysconf("SC_OPEN_MAX"))
        become(launch, parent)
    except OSError as error:
        os.truncate(letter, 0)
        os.pwrite(letter, str(error).encode(), 0)
    finally:
        os._exit(CANNOT_START)
