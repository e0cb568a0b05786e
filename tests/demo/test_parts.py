"""What the demo counts, concludes and says, without playing it."""

import asyncio
import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from flagger.demo.acts import ACTS, OK, WRONG_OUTCOME, Act, Ending, Look, Programme, Result, fault
from flagger.demo.figures import Both, Figures
from flagger.demo.lively import Lively
from flagger.demo.play import Options
from flagger.demo.release import with_tag
from flagger.demo.scene import Rules, entrance, manifests
from flagger.demo.story import Chapter, State, Story
from flagger.demo.traffic import Answer, Tally, Users
from flagger.kube.objects import Object
from flagger.sandbox.options import Options as SandboxOptions
from tests.e2e.stage import eventually
from tests.fakes.scripted import Reply, ScriptedServer

GOOD, BAD = ACTS
RULES = Rules.of(manifests("2s")[-1])
PROGRAMME = Programme(engine="builtin", interval="2s", rules=RULES, budget=90.0)


@pytest.mark.parametrize(
    ("status", "answer", "expected"),
    [
        pytest.param(200, Answer("app-primary-5f-x", "hi"), (1, 0, 0, {}), id="the primary"),
        pytest.param(200, Answer("app-5f-x", "hi"), (0, 1, 0, {}), id="the canary"),
        pytest.param(500, Answer("app-5f-x", "injected fault"), (0, 1, 1, {}), id="a fault to order"),
        pytest.param(404, Answer("app-5f-x"), (0, 1, 0, {}), id="no failure of the server"),
        pytest.param(
            500,
            Answer("app-primary-5f-x", "injected fault"),
            (1, 0, 0, {"HTTP 500 from app-primary-5f-x": 1}),
            id="a fault where none was ordered",
        ),
        pytest.param(503, Answer(), (0, 0, 0, {"HTTP 503 from the proxy": 1}), id="the proxy"),
    ],
)
async def test_answers_are_laid_to_who_gave_them(
    status: int, answer: Answer, expected: tuple[object, ...]
) -> None:
    """Only a canary's fault to order is excused."""
    tally = Tally()

    tally.count(status, answer)

    assert (tally.primary, tally.canary, tally.failed_by_order, tally.problems) == expected
    assert (tally.first_failure is not None) is (tally.failed > 0)


async def test_users_keep_coming_whatever_they_get() -> None:
    """Late and lost answers are counted for the time at which the request was sent."""
    replies = [Reply(raw=b"nonsense\r\n\r\n"), Reply(200, b'{"hostname": "app-1-2"}', wait=0.1)]
    async with ScriptedServer(replies) as server:
        users = Users(server.url, "app.example", rate=50.0)
        sending = asyncio.create_task(users.run())
        await eventually(lambda: users.total.sent >= 5, "five were sent")
        before = users.act
        users.new_act()
        await users.settled()
        sending.cancel()
        await asyncio.wait([sending])

    assert before.sent >= 5
    assert before.answered + before.failed_otherwise >= 5
    assert before.failed_otherwise == 1
    assert {request.header("Host")[0] for request in server.received} == {"app.example"}


def test_a_chapter_concludes_why() -> None:
    """The reason names the last value, the limit, and how many of the passes failed."""
    halts = [f"Halt a.b advancement success rate {value}% < 99%" for value in ("90.00", "74.29")]
    told = [
        "New revision detected! Scaling up a.b",
        *(f"Advance a.b canary weight {w}" for w in (10, 20)),
        *halts,
    ]
    chapter = Chapter(weights=[0, 10, 20, 0], halts=halts, told=told)

    assert chapter.passes == 3
    assert chapter.why == (
        "checkout was rolled back at 20 %: request-success-rate was 74.29 %, below the limit of 99 %, in 2 of 3 passes."
    )
    assert Chapter(halts=["Halt a.b advancement hook x failed"]).why == ""


async def test_a_story_tells_what_moves_something() -> None:
    """Each event once, those of others and those that move nothing not at all."""
    told: list[tuple[str, bool]] = []
    story = Story(lambda state, text, judged: told.append((f"{state.phase} {text}", judged)))
    story._canary(None, a_canary("Progressing", 10))
    for text, name in (
        ("Starting canary analysis for checkout.shop", "checkout"),
        ("Advance checkout.shop canary weight 10", "checkout"),
        ("Advance checkout.shop canary weight 10", "checkout"),
        ("Advance other.shop canary weight 10", "other"),
        ("Halt checkout.shop advancement latency", "checkout"),
    ):
        story._event(None, an_event(text, name))

    assert told == [
        ("Progressing Advance checkout.shop canary weight 10", False),
        ("Progressing Halt checkout.shop advancement latency", True),
    ]
    assert (story.state, story.chapter.weights) == (State("Progressing", 10, 0), [10])


def a_canary(phase: str, weight: int) -> Object:
    return {
        "metadata": {"name": "checkout", "namespace": "shop"},
        "status": {"phase": phase, "canaryWeight": weight, "failedChecks": 0},
    }


def an_event(text: str, name: str) -> Object:
    about = {"kind": "Canary", "namespace": "shop", "name": name}
    return {"metadata": {"name": text, "uid": text}, "involvedObject": about, "message": text, "count": 1}


@pytest.mark.parametrize(
    ("act", "phase", "users", "problem"),
    [
        pytest.param(GOOD, "Succeeded", Tally(answered=9), "", id="all well"),
        pytest.param(
            GOOD, "Succeeded", Tally(failed_by_order=2), "2 x faults of a good release", id="not so good"
        ),
        pytest.param(GOOD, "Succeeded", Tally(problems={"TimeoutError": 1}), "1 x TimeoutError", id="lost"),
        pytest.param(BAD, "Failed", Tally(failed_by_order=2), "", id="the bad one's own errors"),
        pytest.param(
            BAD,
            "Failed",
            Tally(problems={"HTTP 503 from the proxy": 3}),
            "3 x HTTP 503 from the proxy",
            id="others'",
        ),
    ],
)
def test_an_act_is_right_only_without_avoidable_errors(
    act: Act, phase: str, users: Tally, problem: str
) -> None:
    """The outcome must be right, and nobody may have seen an error that the primary would not have made."""
    result = a_result(act, phase, users)

    assert (result.problem, result.right) == (problem, not problem)
    assert not a_result(act, "Progressing", users).right


def a_result(act: Act, phase: str, users: Tally) -> Result:
    return Result(
        act=act,
        phase=phase,
        took=12.3,
        noticed=0.04,
        detected=0.5 if act.fail_every else None,
        exposed=6.0 if act.fail_every else None,
        weights=(0, 10, 0),
        failed_checks=3 if act.fail_every else 0,
        users=users,
        rate=60.0,
        figures=Both(Figures(100.0, 5.0), Figures(74.29, 23.0)),
        why="checkout was rolled back." if act.fail_every else "",
    )


def test_a_plain_rolling_update_is_computed() -> None:
    """Rate times share of errors times the time to the rollback."""
    assert a_result(BAD, "Failed", Tally()).everybody == 60.0 * 6.0 / 4


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("podinfo:1", "podinfo:2"),
        ("podinfo", "podinfo:2"),
        ("localhost:5000/a/podinfo", "localhost:5000/a/podinfo:2"),
        ("ghcr.io/a/podinfo:1@sha256:abc", "ghcr.io/a/podinfo:2"),
    ],
)
def test_tags(image: str, expected: str) -> None:
    """The tag is changed, and nothing that looks like one."""
    assert with_tag(image, "2") == expected


def test_the_entrance_is_where_the_gateway_says() -> None:
    """Unknown without an address; a port that was moved is told in an annotation."""
    gateway: Object = {"metadata": {}, "spec": {"listeners": [{"port": 80}]}}
    assert entrance(gateway) is None
    gateway["status"] = {"addresses": [{"value": "127.96.0.9"}]}
    assert entrance(gateway) == "http://127.96.0.9:80/"
    gateway["metadata"]["annotations"] = {"sandbox.flagger.app/ports": '{"80": 18080}'}
    assert entrance(gateway) == "http://127.96.0.9:18080/"


def test_limits_follow_the_interval(tmp_path: Path) -> None:
    """The hard stops of the standard demo add up to its budget of 90 s; slower ticks get more."""
    assert (Options(state_dir=tmp_path).budget, Options(state_dir=tmp_path, interval="10s").budget) == (
        90.0,
        226.0,
    )
    assert Rules(range(10, 51, 10), 3, 99, 500) == RULES
    assert [fault(act) for act in (GOOD, BAD)] == ["", "every fourth request fails"]


def test_a_sandbox_is_started_with_its_options(tmp_path: Path) -> None:
    """Nothing is lost on the way to the other process."""
    assert SandboxOptions(state_dir=Path("/s"), data_dir=Path("/d"), metrics="prometheus").arguments() == [
        "--state-dir=/s",
        "--engine=builtin",
        "--metrics=prometheus",
        "--scrape-interval=1.0",
        "--data-dir=/d",
    ]


@pytest.mark.parametrize("width", [120, 100, 80, 60, 40])
def test_on_terminals_of_any_width(width: int, tmp_path: Path) -> None:
    """No line is longer than the terminal or 110 columns; the panel is drawn on all, and taken away again."""
    screen = io.StringIO()
    lively = Lively(
        Console(file=screen, force_terminal=True, width=width, highlight=False, color_system=None)
    )
    users = Users("http://127.96.0.9:80/", "shop.example")
    users.act = users.step = users.total = Tally(answered=60, primary=54, canary=6, failed_by_order=1)
    for act, phase in ((GOOD, "Succeeded"), (BAD, "Failed")):
        lively.begin(PROGRAMME)
        lively.ready("checkout:6.7.0", users)
        lively.act(act)
        lively.event(State("Progressing", 10, 0), "Advance checkout.shop canary weight 10", False)
        lively.look(Look(State("Progressing", 10, 1), users, Both(Figures(100.0, 5.0), Figures(74.29, 23.0))))
        lively.event(
            State("Progressing", 10, 1), "Halt checkout.shop advancement success rate 74.29% < 99%", True
        )
        lively.result(a_result(act, phase, users.act))
    lively.end(Ending(code=OK, users=users.total, state_dir=tmp_path, kept=True, took=27.1))
    text = without_controls(screen.getvalue())

    assert max(len(line) for line in text.splitlines()) <= min(width, 110)
    assert "failed checks 1 of 3" in text
    assert "fail" in text
    assert "Done in 27 s" in text
    assert "sandbox down --state-dir" in " ".join(text.split())
    assert str(tmp_path) in "".join(text.split())


def without_controls(text: str) -> str:
    """The text without movements of the cursor."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "\n")


def test_a_failure_says_what_and_where(tmp_path: Path) -> None:
    """The problem's first line in the verdict, the rest of it below, and the logs."""
    screen = io.StringIO()
    lively = Lively(Console(file=screen, force_terminal=True, width=110, color_system=None))
    lively.end(Ending(code=WRONG_OUTCOME, problem="it broke\n  a line of a log", state_dir=tmp_path))
    text = screen.getvalue()

    assert f"✖ demo: FAIL, it broke; logs in {tmp_path}/log" in text.replace("\n", "")
    assert "  a line of a log" in text
