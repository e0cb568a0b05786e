"""Who gets which alert: the AlertProviders that a Canary names, or else the operator's own receiver.

Nothing here is waited for by a tick. Each receiver gets one message at a time, so those of a Canary arrive in
order, and one that is slow or asks for a pause holds up nobody else.
"""

from collections import OrderedDict
from dataclasses import dataclass

import structlog

from flagger.api.analysis import AlertSeverity, Strategy
from flagger.api.canary import Canary
from flagger.api.errors import FieldError
from flagger.api.references import Key
from flagger.kube.cluster import Cluster
from flagger.kube.errors import KubeError
from flagger.notify.courier import Courier
from flagger.notify.events import Announcer, Level
from flagger.notify.message import Message, Receiver
from flagger.notify.posting import Poster
from flagger.notify.receivers import find_receiver
from flagger.outbound import excerpt
from flagger.rollout.state import Alert, Severity

log = structlog.get_logger(__name__)

LONGEST = 2000  # characters of a message's text; the strictest service takes 4096
RECEIVERS = 64  # receivers that are served at the same time
ROOM = 1000  # messages that may wait for one receiver
REMEMBERED = 4096  # faults of providers that were told


@dataclass(frozen=True, slots=True)
class _Letter:
    """A message on its way; without `provider` it goes to the operator's receiver.

    One that is not `wanted` is not sent, only its provider is looked at: what is wrong with the provider of
    the worst news is better known before there are any.
    """

    canary: Canary
    message: Message
    alert: str = ""
    provider: Key | None = None
    wanted: bool = True


class Alerts:
    """Takes alerts at once and delivers them soon."""

    def __init__(
        self,
        cluster: Cluster,
        poster: Poster,
        announcer: Announcer,
        *,
        cluster_name: str = "",
        default: Receiver | None = None,
    ) -> None:
        """`default` gets the alerts of Canaries that name no provider; `announcer` is told of faulty ones."""
        self._cluster, self._poster, self._announcer = cluster, poster, announcer
        self._cluster_name, self._default = cluster_name, default
        self._courier = Courier("alert", self._deliver, room=ROOM, lanes=RECEIVERS)
        self._told: OrderedDict[tuple[str, int, str], None] = OrderedDict()

    @property
    def dropped(self) -> int:
        """Alerts that were given up because too many were waiting."""
        return self._courier.dropped

    def tell(self, canary: Canary, alert: Alert) -> None:
        """Queue an alert for everybody whom the Canary wants told; returns at once."""
        message = message_about(canary, alert, cluster_name=self._cluster_name)
        entries = canary.spec.analysis.alerts
        for entry in entries:
            wanted = entry.wants(AlertSeverity(alert.severity))
            provider = canary.locate(entry.provider_ref)
            self._send(_Letter(canary, message, entry.name, provider, wanted))
        if not entries and self._default is not None:
            self._send(_Letter(canary, message))

    async def run(self) -> None:
        """Deliver until cancelled."""
        await self._courier.run()

    async def drain(self) -> None:
        """Wait until everything is delivered or given up."""
        await self._courier.drain()

    def _send(self, letter: _Letter) -> None:
        key = "/".join(letter.provider) if letter.provider else "the operator's receiver"
        self._courier.send(key, letter, keep=letter.wanted and letter.message.severity is Severity.ERROR)

    async def _deliver(self, letter: _Letter) -> None:
        receiver = await self._receiver(letter)
        if receiver is None or not letter.wanted:
            return
        delivery = await self._poster.post(letter.message, receiver)
        if delivery.problem:
            _give_up(letter, delivery.problem, receiver=receiver.origin, attempts=delivery.attempts)

    async def _receiver(self, letter: _Letter) -> Receiver | None:
        """Return where a letter goes; None, and the reason is told, when that can't be found out."""
        if letter.provider is None:
            return self._default
        try:
            return await find_receiver(self._cluster, letter.provider)
        except (FieldError, KubeError) as error:
            self._complain(letter, f"AlertProvider {'/'.join(letter.provider)}: {error}")
            return None

    def _complain(self, letter: _Letter, problem: str) -> None:
        """Tell of a faulty provider: once per generation of the Canary, and of each alert that it cost."""
        canary = letter.canary
        fault = (canary.metadata.uid or canary.key, canary.metadata.generation, problem)
        if fault not in self._told:
            self._told[fault] = None
            text = f"Alert {letter.alert} can't be sent, {problem}"
            self._announcer.announce(canary, text, Level.WARNING)
        if len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
        if letter.wanted:
            _give_up(letter, problem)


def message_about(canary: Canary, alert: Alert, *, cluster_name: str = "") -> Message:
    """Return what people are told: the cluster first, if it has a name, and what the alert asks for."""
    facts = [("Cluster", cluster_name)] if cluster_name else []
    if alert.facts:
        facts += _facts(canary)
    text = excerpt(alert.text, limit=LONGEST)
    return Message(canary.name, canary.namespace, text, alert.severity, tuple(facts))


def _facts(canary: Canary) -> list[tuple[str, str]]:
    kind, limit = canary.spec.target_ref.kind, canary.spec.analysis.failure_limit
    routing = _routing(canary)
    return [
        ("Target", f"{kind}/{canary.target_name}.{canary.namespace}"),
        ("Failed checks threshold", str(limit)),
        ("Progress deadline", f"{canary.progress_deadline.total_seconds():.0f}s"),
        *([("Traffic routing", routing)] if routing else []),
    ]


def _routing(canary: Canary) -> str:
    """Return how traffic is shifted, from the numbers as the user wrote them; empty without any."""
    analysis = canary.spec.analysis
    if analysis.strategy is Strategy.AB:
        return "A/B Testing"
    if analysis.strategy is Strategy.BLUE_GREEN:
        return "Blue/Green"
    if analysis.step_weight > 0:
        return f"Weight step: {analysis.step_weight} max: {analysis.max_weight}"
    steps = ",".join(map(str, analysis.step_weights))
    return f"Weight steps: {steps} max: {analysis.max_weight}" if steps else ""


def _give_up(letter: _Letter, problem: str, **facts: object) -> None:
    canary = letter.canary
    names = {"alert": letter.alert, "provider": "/".join(letter.provider)} if letter.provider else {}
    log.error(
        "alert could not be sent",
        canary=f"{canary.name}.{canary.namespace}",
        **names,
        **facts,
        text=letter.message.text,
        problem=problem,
    )
