"""Where container logs are, and which one somebody means. What is in them is `logs.py`'s."""

import shutil
from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path

from flagger.kube.objects import Object, name_of, namespace_of, uid_of
from flagger.sandbox.kubelet.logs import Log, older


class LogFiles:
    """The logs of all pods: a directory per pod, in it one per container, a file per run; two are kept."""

    def __init__(self, folder: Path, now: Callable[[], datetime]) -> None:
        self._folder = folder
        self._now = now
        self._latest: dict[tuple[str, str], Path] = {}  # namespace, name of a pod → its directory
        self._open: dict[Path, Log] = {}  # directory of a container → the log of its latest run

    def open(self, pod: Object, container: str, run: int) -> Log:
        """The log for the nth run of a container; that of the run before the last one is removed."""
        home = self._home(pod)
        self._latest[namespace_of(pod), name_of(pod)] = home
        outdated = home / container / f"{run - 2}.log"
        outdated.unlink(missing_ok=True)
        older(outdated).unlink(missing_ok=True)
        log = Log(home / container / f"{run}.log", self._now)
        self._open[home / container] = log
        return log

    def find(self, namespace: str, pod: str, container: str, *, previous: bool) -> Log | None:
        """The log of a container's latest run, or of the one before; None if there is no such log."""
        home = self._latest.get((namespace, pod)) or next(self._folder.glob(f"{namespace}_{pod}_*"), None)
        if home is None:
            return None
        log = self._open.get(home / container) or self._of_earlier_life(home / container)
        if log is None or not previous:
            return log
        number = int(log.file.stem) - 1
        before = log.file.with_name(f"{number}.log")
        return Log.finished(before, self._now) if before.exists() else None

    def _of_earlier_life(self, folder: Path) -> Log | None:
        """What an earlier kubelet has kept of a container that this one did not start."""
        runs = sorted(folder.glob("*.log"), key=lambda file: int(file.stem))
        return Log.finished(runs[-1], self._now) if runs else None

    def remove(self, pod: Object) -> None:
        """The pod is gone, and its logs with it."""
        home = self._home(pod)
        for folder in [folder for folder in self._open if folder.parent == home]:
            del self._open[folder]
        key = (namespace_of(pod), name_of(pod))
        if self._latest.get(key) == home:
            del self._latest[key]
        shutil.rmtree(home, ignore_errors=True)

    def keep_only(self, pods: Collection[Object]) -> None:
        """Remove what an earlier life has left of pods that exist no more."""
        homes = {self._home(pod) for pod in pods}
        for home in [home for home in self._folder.iterdir() if home not in homes]:
            shutil.rmtree(home, ignore_errors=True)

    def _home(self, pod: Object) -> Path:
        return self._folder / f"{namespace_of(pod)}_{name_of(pod)}_{uid_of(pod)}"
