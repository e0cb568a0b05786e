"""The part of Prometheus' HTTP API that clients of this product use, on the embedded store."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from inspect import isawaitable

import msgspec
from aiohttp import web
from multidict import MultiDict, MultiMapping

from flagger.sandbox.metrics.clock import Clock
from flagger.sandbox.metrics.labels import Labels
from flagger.sandbox.metrics.promql.engine import Engine, Matrix, selector
from flagger.sandbox.metrics.promql.errors import BadQueryError, QueryError
from flagger.sandbox.metrics.store import SeriesStore
from flagger.sandbox.metrics.wire import (
    Data,
    duration_parameter,
    instant_data,
    label_maps,
    range_data,
    time_parameter,
)

Params = MultiMapping[str]
Answer = Callable[[Params], object] | Callable[[Params], Awaitable[object]]
TargetStates = Callable[[], Sequence[Data]]

_STATUS = {"bad_data": 400, "execution": 422, "timeout": 503}
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_FOREVER = 2**62
_MOST_FORM_BYTES = 10 * 1024 * 1024

BUILD = {
    "version": "2.42.0",  # whose behaviour is kept; clients choose features by it
    "revision": "embedded",
    "branch": "flagger-sandbox",
    "buildUser": "",
    "buildDate": "",
    "goVersion": "",
}


class Api:
    """Handlers over one store."""

    def __init__(self, store: SeriesStore, clock: Clock, targets: TargetStates) -> None:
        """`targets` tells the state of each scraped target in the API's own form."""
        self._store = store
        self._engine = Engine(store)
        self._clock = clock
        self._targets = targets

    def application(self) -> web.Application:
        """The routes; queries may be sent by GET or as a POST form."""
        app = web.Application(client_max_size=_MOST_FORM_BYTES)
        for path, answer in (
            ("/api/v1/query", self._query),
            ("/api/v1/query_range", self._query_range),
            ("/api/v1/series", self._series),
            ("/api/v1/labels", self._labels),
        ):
            app.router.add_get(path, _handler(answer))
            app.router.add_post(path, _handler(answer))
        app.router.add_get("/api/v1/label/{name}/values", self._label_values)
        app.router.add_get("/api/v1/targets", _handler(self._active_targets))
        app.router.add_get("/api/v1/status/buildinfo", _handler(lambda _: BUILD))
        app.router.add_get("/-/ready", _say("Prometheus Server is Ready.\n"))
        app.router.add_get("/-/healthy", _say("Prometheus Server is Healthy.\n"))
        return app

    def _query(self, params: Params) -> object:
        ms = time_parameter(params, "time", self._clock())
        kind, value = self._engine.instant(params.get("query", ""), ms)
        return instant_data(kind, value, ms)

    async def _query_range(self, params: Params) -> object:
        start, end = time_parameter(params, "start"), time_parameter(params, "end")
        if end < start:
            raise BadQueryError('invalid parameter "end": end timestamp must not be before start time')
        step = duration_parameter(params, "step")
        if step <= 0:
            raise BadQueryError(
                'invalid parameter "step": zero or negative query resolution step widths are not accepted. '
                "Try a positive integer"
            )
        matrix: Matrix = {}
        for matrix in self._engine.walk(params.get("query", ""), start, end, step):  # noqa: B007 -- the last
            await asyncio.sleep(0)  # scrapes and short queries go on meanwhile
        return range_data(matrix)

    def _series(self, params: Params) -> object:
        if not params.getall("match[]", []):
            raise BadQueryError("no match[] parameter provided")
        return label_maps(list(self._matching(params)))

    def _labels(self, params: Params) -> object:
        return sorted({name for labels in self._matching(params) for name, _ in labels})

    def _active_targets(self, params: Params) -> object:
        return {"activeTargets": self._targets(), "droppedTargets": []}

    async def _label_values(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]

        def answer(params: Params) -> object:
            if not _LABEL_NAME.fullmatch(name):
                raise BadQueryError(f'invalid label name: "{name}"')
            return sorted({v for labels in self._matching(params) for n, v in labels if n == name})

        return await _handler(answer)(request)

    def _matching(self, params: Params) -> Iterable[Labels]:
        """The series that one of the selectors means and that have samples in the asked time."""
        start = time_parameter(params, "start", -_FOREVER)
        end = time_parameter(params, "end", _FOREVER)
        selectors = [selector(text) for text in params.getall("match[]", [])] or [()]
        found = {series.labels: series for matchers in selectors for series in self._store.select(matchers)}
        return [labels for labels, series in found.items() if series.window(start, end) is not None]


def _handler(answer: Answer) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        try:
            data = answer(await _params(request))
            return _json(200, {"status": "success", "data": await data if isawaitable(data) else data})
        except QueryError as error:
            body = {"status": "error", "errorType": error.kind, "error": str(error)}
            return _json(_STATUS[error.kind], body)

    return handle


async def _params(request: web.Request) -> Params:
    """The parameters of the form, if there is one, before those of the URL."""
    params: MultiDict[str] = MultiDict()
    if request.method == "POST":
        for name, value in (await request.post()).items():
            if isinstance(value, str):
                params.add(name, value)
    params.extend(request.query)
    return params


def _json(status: int, body: object) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json")


def _say(text: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(text=text)

    return handle
