"""Volumes as directories: what their files hold, and writing them so that readers see all or nothing new."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from flagger.kube.objects import CONFIG_MAP, SECRET, Kind, Object, namespace_of
from flagger.sandbox.kubelet.environment import Lookup, MissingConfig, PodFacts, content, pod_field, resource
from flagger.sandbox.kubelet.rootfs import Mount

Payload = dict[str, tuple[bytes, int]]  # path inside the volume → content, mode

CURRENT = "..data"  # a link to the directory with the current files; the same names as a real kubelet's


class VolumeError(Exception):
    """A volume cannot be set up, now or ever."""


def payload(volume: Object, facts: PodFacts, lookup: Lookup) -> Payload | None:
    """The files of a volume made from objects; None for one that is just a directory.

    Raises:
        MissingConfig: an object or key is missing and not optional.
    """
    if "configMap" in volume:
        return files(CONFIG_MAP, volume["configMap"], volume["configMap"].get("name", ""), facts, lookup)
    if "secret" in volume:
        return files(SECRET, volume["secret"], volume["secret"].get("secretName", ""), facts, lookup)
    if "downwardAPI" in volume:
        return downward(volume["downwardAPI"], facts)
    if "projected" in volume:
        merged: Payload = {}
        for source in volume["projected"].get("sources") or ():
            merged |= projected(source, volume["projected"].get("defaultMode", 0o644), facts, lookup)
        return merged
    return None


def projected(source: Object, mode: int, facts: PodFacts, lookup: Lookup) -> Payload:
    """One source of a projected volume."""
    for kind, field in ((CONFIG_MAP, "configMap"), (SECRET, "secret")):
        if field in source:
            given = {"defaultMode": mode, **source[field]}
            return files(kind, given, given.get("name", ""), facts, lookup)
    if "downwardAPI" in source:
        return downward({"defaultMode": mode, **source["downwardAPI"]}, facts)
    if "serviceAccountToken" in source:
        path = source["serviceAccountToken"]["path"]
        return {path: (facts.tokens.get(path, "").encode(), mode)}
    return {}


def files(kind: Kind, source: Object, name: str, facts: PodFacts, lookup: Lookup) -> Payload:
    """The entries of a ConfigMap or Secret, all or the chosen `items`."""
    optional = source.get("optional")
    data = content(kind, namespace_of(facts.pod), name, lookup, optional=optional)
    mode = source.get("defaultMode", 0o644)
    if not source.get("items"):
        return {key: (value, mode) for key, value in data.items()}
    chosen: Payload = {}
    for item in source["items"]:
        if item["key"] in data:
            chosen[item["path"]] = (data[item["key"]], item.get("mode", mode))
        elif not optional:
            raise MissingConfig(f"{kind.kind.lower()} references non-existent config key: {item['key']}")
    return chosen


def downward(source: Object, facts: PodFacts) -> Payload:
    """Fields of the pod as files."""
    mode = source.get("defaultMode", 0o644)
    found: Payload = {}
    containers = {
        container["name"]: container for container in facts.pod.get("spec", {}).get("containers", ())
    }
    for item in source.get("items") or ():
        if "fieldRef" in item:
            text = pod_field(item["fieldRef"]["fieldPath"], facts)
        else:
            wanted = item.get("resourceFieldRef") or {}
            text = resource(wanted, containers.get(wanted.get("containerName"), {}), facts)
        found[item["path"]] = (text.encode(), item.get("mode", mode))
    return found


def write(folder: Path, new: Payload) -> bool:
    """Make a volume's directory hold exactly these files; False if it did already.

    Every file is a link through `..data`, which is switched in one step.

    Raises:
        VolumeError: a path leaves the volume.
    """
    if any(Path(path).is_absolute() or ".." in Path(path).parts for path in new):
        raise VolumeError("a path of a volume must be relative and must not contain '..'")
    current = folder / CURRENT
    old = current.resolve() if current.exists() else None
    if old is not None and read(old) == new:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    version = Path(tempfile.mkdtemp(prefix="..", dir=folder))
    version.chmod(0o755)
    for path, (value, mode) in new.items():
        file = version / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(value)
        file.chmod(mode)
    switch = folder / "..switch"
    switch.symlink_to(version.name)
    switch.replace(current)
    relink(folder, {Path(path).parts[0] for path in new})
    if old is not None:
        shutil.rmtree(old)
    return True


def read(folder: Path) -> Payload:
    """The files below a directory, as they were written."""
    return {
        str(file.relative_to(folder)): (file.read_bytes(), file.stat().st_mode & 0o777)
        for file in folder.rglob("*")
        if file.is_file()
    }


def relink(folder: Path, names: set[str]) -> None:
    """Have a link for each name, and none for others."""
    for entry in list(folder.iterdir()):
        if not entry.name.startswith("..") and entry.name not in names:
            entry.unlink()
    for name in names:
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(f"{CURRENT}/{name}")


def set_up(volume: Object, folder: Path, facts: PodFacts, lookup: Lookup) -> Path:
    """The directory that a volume is, made and filled; `folder` is where volumes of the sandbox's own go.

    Raises:
        MissingConfig: what it is made from is missing and not optional.
        VolumeError: a sandbox has no such volumes.
    """
    if "hostPath" in volume:
        return Path(volume["hostPath"]["path"])
    known = {"name", "emptyDir", "configMap", "secret", "downwardAPI", "projected"}
    if foreign := sorted(set(volume) - known):
        raise VolumeError(f"volume {volume['name']}: the sandbox has no volumes of type {foreign[0]}")
    folder = folder / volume["name"]
    made = payload(volume, facts, lookup)
    if made is None:
        folder.mkdir(parents=True, exist_ok=True)
    else:
        write(folder, made)
    return folder


def mounts_of(container: Object, volumes: Mapping[str, Path]) -> list[Mount]:
    """Where a container wants its volumes.

    Raises:
        VolumeError: it names a volume that the pod does not have.
    """
    found = []
    for wanted in container.get("volumeMounts") or ():
        source = volumes.get(wanted["name"])
        if source is None:
            raise VolumeError(f"container {container['name']}: the pod has no volume {wanted['name']}")
        if sub := wanted.get("subPath"):
            source = source / sub
            if not source.exists():
                source.mkdir(parents=True)
        found.append(Mount(str(source), wanted["mountPath"].rstrip("/") or "/"))
    return found
