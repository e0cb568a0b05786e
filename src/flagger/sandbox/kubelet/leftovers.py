"""Processes and files that an earlier life of the kubelet has left, if it and its fork server were killed."""

import contextlib
import os
import shutil
import signal
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def note_process(file: Path) -> None:
    """Write down which process this is, so that it is still known when everybody who knows it is dead."""
    file.write_text(f"{os.getpid()} {start_time(os.getpid())} {BOOT_ID.read_text().strip()}")


def start_time(pid: int) -> str:
    """When a process started, in ticks since boot (proc(5), stat, field 22); "" if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[19]


def clean(pods: Path) -> None:
    """End the noted processes and what they started, and remove the directories of pods."""
    for file in pods.glob("*/*.pid"):
        pid, started, boot = (*file.read_text().split(), "", "", "")[:3]
        if boot != BOOT_ID.read_text().strip():
            continue
        # A group outlives its leader, and its number is not given out again before.
        if start_time(int(pid)) in {started, ""}:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(int(pid), signal.SIGKILL)
    shutil.rmtree(pods, ignore_errors=True)
