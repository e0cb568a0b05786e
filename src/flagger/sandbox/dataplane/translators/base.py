"""The contract of a translator."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from flagger.kube.objects import Kind, Object
from flagger.sandbox.dataplane.routes import Cluster, Listener, Rule
from flagger.sandbox.dataplane.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Report:
    """What an object's status shall say; conditions come without times, which only the writer knows.

    `status` replaces the fields it names. `annotations` are set on the object itself.
    """

    kind: Kind
    obj: Object
    status: Object
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one translator adds.

    `mesh` says by the name of a Service's listener which rules replace its plain forwarding to its pods.
    """

    listeners: tuple[Listener, ...] = ()
    clusters: tuple[Cluster, ...] = ()
    mesh: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)
    reports: tuple[Report, ...] = ()


class Translator(Protocol):
    """Reads one API family's objects as its control plane would; pure."""

    @property
    def needs(self) -> tuple[Kind, ...]:
        """Kinds without which it takes no part."""

    @property
    def uses(self) -> tuple[Kind, ...]:
        """Further kinds that it reads where the API serves them."""

    def translate(self, seen: Snapshot) -> Contribution:
        """What these objects ask to be served."""
