"""The names that a pod knows: its own, and those of Services. Pure text, and how it is put in place."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from flagger.kube.objects import Object, name_of, namespace_of

DOMAIN = "svc.cluster.local"


def hosts_file(pod_name: str, namespace: str, address: str, services: Iterable[Object]) -> str:
    """/etc/hosts of a pod. `localhost` is the pod's own address, since pods share the machine's loopback."""
    lines = [f"{address} localhost {pod_name}", "::1 ip6-localhost ip6-loopback"]
    lines += [f"{ip} {' '.join(names)}" for ip, names in sorted(service_names(services, namespace))]
    return "\n".join([*lines, ""])


def service_names(services: Iterable[Object], namespace: str) -> Iterator[tuple[str, list[str]]]:
    """The address and the names of each Service that has one, as seen from a namespace."""
    for service in services:
        address = service.get("spec", {}).get("clusterIP")
        if not address or address == "None":
            continue
        name, home = name_of(service), namespace_of(service)
        short = [name] if home == namespace else []
        yield address, [*short, f"{name}.{home}", f"{name}.{home}.svc", f"{name}.{home}.{DOMAIN}"]


def put(file: Path, text: str) -> None:
    """Change a file in place: pods have this very file mounted. A reader at any moment sees no empty one."""
    data = text.encode()
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.pwrite(descriptor, data, 0)
        os.ftruncate(descriptor, len(data))
    finally:
        os.close(descriptor)
