"""Leader election, in virtual time, on a server that detects conflicts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from aiohttp import web

from flagger.kube.client import Client
from flagger.kube.lease import LeaderElection, LeaseLost, micro_time, steady_clock
from flagger.kube.objects import CONFIG_MAP, LEASE, Object
from tests.kube.tiny_api import TinyApi, client_of, eventually, fail, refuse, running

pytestmark = pytest.mark.looptime
KEY = ("leases", "ops", "flagger-leader-election")


class Candidate:
    """A process that wants to lead; `log` has the times at which its work began and ended."""

    def __init__(self, client: Client, name: str) -> None:
        loop = asyncio.get_running_loop()
        self.ahead = 0.0  # how far its clock is ahead, as after a pause
        self.election = LeaderElection(client, *KEY[1:], name, clock=lambda: loop.time() + self.ahead)
        self.log: list[float] = []
        self.task = asyncio.create_task(self.election.lead(self.work), name=name)

    async def work(self) -> None:
        clock = asyncio.get_running_loop().time
        self.log.append(clock())
        try:
            await asyncio.Event().wait()
        finally:
            self.log.append(clock())

    @property
    def leads(self) -> bool:
        return len(self.log) % 2 == 1


@asynccontextmanager
async def candidates(api: TinyApi, *names: str) -> AsyncIterator[list[Candidate]]:
    """Candidates that are stopped at the end."""
    async with running(api), client_of(api) as client:
        found = [Candidate(client, name) for name in names]
        try:
            yield found
        finally:
            for candidate in found:
                candidate.task.cancel()
            await asyncio.gather(*(candidate.task for candidate in found), return_exceptions=True)


def the_lease(api: TinyApi) -> Object:
    return api.objects[KEY]["spec"]


def leaders(found: list[Candidate]) -> list[Candidate]:
    return [candidate for candidate in found if candidate.leads]


async def test_one_of_three_leads_for_an_hour() -> None:
    """Of three candidates exactly one leads; it renews every five seconds, and the others never interfere."""
    api = TinyApi()
    async with candidates(api, "one", "two", "three") as found:
        await eventually(lambda: leaders(found))
        leader = leaders(found)[0]
        for _ in range(60):
            await asyncio.sleep(60)
            assert leaders(found) == [leader]
            assert [candidate.election.held() for candidate in found].count(True) == 1
        assert the_lease(api)["holderIdentity"] == leader.election.identity
        assert the_lease(api)["leaseTransitions"] == 0
        assert 700 <= api.count("PATCH") <= 720


async def test_hands_over_at_once_when_stopped() -> None:
    """A leader that stops gives the lease back; another leads within its retry period."""
    async with candidates(TinyApi(), "one", "two", "three") as found:
        await eventually(lambda: leaders(found))
        first = leaders(found)[0]
        first.task.cancel()
        await eventually(lambda: not first.leads)
        await eventually(lambda: leaders(found), within=7)
        assert leaders(found)[0] is not first


async def test_takes_over_from_a_dead_leader_after_a_whole_lease() -> None:
    """Without a release the lease must have been unchanged for 60 s, by the candidate's own clock."""
    api = TinyApi()
    loop = asyncio.get_running_loop()
    spec = {"holderIdentity": "dead", "leaseDurationSeconds": 60, "renewTime": "2001-01-01T00:00:00.000000Z"}
    api.put(LEASE, KEY[2], KEY[1], spec={**spec, "leaseTransitions": 7})
    async with candidates(api, "one", "two") as found:
        await eventually(lambda: leaders(found), within=100)
        assert 60 <= loop.time() <= 67
        assert the_lease(api)["leaseTransitions"] == 8


async def test_fence_falls_before_anybody_else_may_lead() -> None:
    """A leader cut off from the server stops its work within 15 s, long before a successor may start."""
    api = TinyApi()
    async with candidates(api, "one", "two") as found:
        await eventually(lambda: leaders(found))
        leader = leaders(found)[0]
        other = next(candidate for candidate in found if candidate is not leader)
        api.faults.append(fail(10**6, lambda: refuse(500, "", "no"), only=lambda r: r.method == "PATCH"))
        start = asyncio.get_running_loop().time()
        with pytest.raises(LeaseLost):
            await asyncio.wait_for(leader.task, 100)
        assert leader.log[-1] - start <= 15.1
        api.faults.clear()
        await eventually(lambda: other.leads, within=100)
        assert other.log[0] - leader.log[-1] >= 40


async def test_silent_server_does_not_hold_the_fence_up() -> None:
    """A renewal that hangs is no renewal: the deadline holds without an answer."""

    async def hang() -> web.StreamResponse:
        await asyncio.sleep(10_000)
        return web.Response()

    api = TinyApi()
    async with candidates(api, "one") as (leader,):
        await eventually(lambda: leader.leads)
        start = asyncio.get_running_loop().time()
        api.faults.append(lambda request: hang())
        with pytest.raises(LeaseLost):
            await asyncio.wait_for(leader.task, 100)
        assert leader.log[-1] - start <= 15.1


async def test_paused_process_knows_at_once() -> None:
    """After a pause (stopped process, sleeping machine) writes are refused before the loop has run."""
    api = TinyApi()
    async with candidates(api, "one") as (leader,), client_of(api) as plain:
        client = plain.guarded(leader.election.guard)
        await eventually(lambda: leader.leads)
        await client.create(CONFIG_MAP, {"metadata": {"name": "a", "namespace": "ops"}})
        leader.ahead = 15.0
        assert not leader.election.held()
        writes = api.count("PATCH")
        with pytest.raises(LeaseLost, match="one does not hold lease ops/flagger-leader-election"):
            await client.patch(CONFIG_MAP, "a", "ops", {"data": {"v": "1"}})
        assert api.count("PATCH") == writes
        with pytest.raises(LeaseLost):
            await asyncio.wait_for(leader.task, 10)


async def test_usurped_leader_stops() -> None:
    """When somebody else is written into the lease, the leader stops at its next renewal."""
    api = TinyApi()
    async with candidates(api, "one") as (leader,):
        await eventually(lambda: leader.leads)
        usurped = {"holderIdentity": "other", "leaseDurationSeconds": 60, "leaseTransitions": 1}
        api.put(LEASE, KEY[2], KEY[1], spec=usurped)
        with pytest.raises(LeaseLost):
            await asyncio.wait_for(leader.task, 20)
        assert the_lease(api) == usurped


async def test_stranger_touching_the_lease_changes_nothing() -> None:
    """A change by somebody else costs one renewal, not the leadership; unknown fields survive."""
    api = TinyApi()
    async with candidates(api, "one") as (leader,):
        await eventually(lambda: leader.leads)
        api.put(LEASE, KEY[2], KEY[1], spec={**the_lease(api), "strategy": "x"})
        await asyncio.sleep(60)
        assert leader.leads
        assert the_lease(api)["strategy"] == "x"


async def test_deleted_lease_is_made_again() -> None:
    """Somebody deletes the lease: the leader makes it anew in time; the others leave that to it."""
    api = TinyApi()
    async with candidates(api, "one", "two", "three") as found:
        await eventually(lambda: leaders(found))
        (leader,) = leaders(found)
        await asyncio.sleep(6)  # by now everybody has seen the lease
        api.drop(LEASE, KEY[2], KEY[1])
        await asyncio.sleep(30)
        assert leaders(found) == [leader]
        assert the_lease(api)["holderIdentity"] == leader.election.identity


async def test_renews_until_the_work_has_ended() -> None:
    """While a cancelled leader finishes its last tick it is still the leader; then it releases."""
    api = TinyApi()
    async with running(api), client_of(api) as client:
        loop = asyncio.get_running_loop()
        election = LeaderElection(client, *KEY[1:], "one", clock=loop.time)
        held: list[bool] = []

        async def slow_to_stop() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(40)
                held.append(election.held())

        task = asyncio.create_task(election.lead(slow_to_stop))
        await eventually(election.held)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert held == [True]
        assert "holderIdentity" not in the_lease(api)


@pytest.mark.parametrize("error", [ValueError("broken"), None], ids=["fails", "returns"])
async def test_end_of_the_work_is_the_end_of_the_lease(error: Exception | None) -> None:
    """When the work returns or fails by itself, that is what the caller gets, and the lease is given back."""

    async def work() -> None:
        if error is not None:
            raise error

    api = TinyApi()
    async with running(api), client_of(api) as client:
        election = LeaderElection(client, *KEY[1:], "one", clock=asyncio.get_running_loop().time)
        outcome = await asyncio.gather(election.lead(work), return_exceptions=True)
        assert outcome == [error]
        assert "holderIdentity" not in the_lease(api)
        assert not election.held()


async def test_candidate_waits_for_a_server() -> None:
    """An API server that is down at the start is waited for."""
    api = TinyApi()
    api.faults.append(fail(12, lambda: refuse(503, "", "starting")))
    async with candidates(api, "one") as (leader,):
        await eventually(lambda: leader.leads, within=60)


async def test_stormy_weather_never_shows_two_leaders() -> None:
    """Three candidates, a server that fails half of the time: never two leaders at once, and mostly one."""
    api = TinyApi()
    seconds_led = 0
    turn = [0]

    def weather(request: object) -> object:
        turn[0] += 1
        return fail(1, lambda: refuse(500, "", "storm"))(request) if turn[0] * 7919 % 100 < 50 else None

    api.faults.append(weather)
    async with running(api), client_of(api) as client:
        found = [Candidate(client, name) for name in ("one", "two", "three")]
        for _ in range(1800):
            await asyncio.sleep(1)
            assert len([candidate for candidate in found if candidate.election.held()]) <= 1
            seconds_led += any(candidate.leads for candidate in found)
            for position, candidate in enumerate(found):
                if candidate.task.done():  # a real process would be restarted
                    assert isinstance(candidate.task.exception(), LeaseLost)
                    found[position] = Candidate(client, candidate.election.identity)
        for candidate in found:
            candidate.task.cancel()
        await asyncio.gather(*(candidate.task for candidate in found), return_exceptions=True)
    assert seconds_led > 900


def test_times_are_micro_times() -> None:
    """Exactly six decimals in UTC, as the API demands."""
    assert micro_time(datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)) == "2030-01-02T03:04:05.000000Z"


def test_clock_goes_forward() -> None:
    """The clock of the fence never goes backwards."""
    assert all(before <= after for before, after in pairwise(steady_clock() for _ in range(1000)))
