"""The endpoints of the sample app, compatible with podinfo's.

Probes and scrapes (`/healthz`, `/readyz…`, `/metrics`) are neither counted nor made to fail: the figures are
about users.
"""

import asyncio
import html
import json
import logging
import os
import platform
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import hdrs, web

from flagger.sandbox.podinfo.faults import Faults
from flagger.sandbox.podinfo.metrics import CONTENT_TYPE, RequestMetrics
from flagger.sandbox.podinfo.settings import Settings

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = logging.getLogger("podinfo")
PAGE = """<!doctype html><title>{host}</title>
<body style="background:{color};color:#fff;font-family:sans-serif;text-align:center">
<h1>{message}</h1><p>{host} · {version}"""
LONGEST_DELAY = 3600  # seconds


class Podinfo:
    """One running instance: its settings, its state of health, its figures."""

    def __init__(self, settings: Settings, faults: Faults | None = None) -> None:
        self.settings = settings
        self.faults = faults or Faults(settings)
        self.metrics = RequestMetrics()
        self.ready = not settings.unready
        self.healthy = not settings.unhealthy
        self.draining = False

    def application(self) -> web.Application:
        """The web application of the main port."""
        app = web.Application(middlewares=[self._around], handler_args={"access_log": None})
        for method, path, handler, label in self._routes():
            app.router.add_route(method, path, handler, name=label)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_post("/readyz/enable", self._enable)
        app.router.add_post("/readyz/disable", self._disable)
        app.router.add_get("/metrics", self._metrics)
        return app

    def metrics_application(self) -> web.Application:
        """The web application of the metrics port."""
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", self._healthz)
        return app

    def _routes(self) -> list[tuple[str, str, Handler, str]]:
        """What users call: method, path, handler, and the label in the metrics, which is podinfo's."""
        return [
            ("GET", "/", self._index, "root"),
            ("GET", "/api/info", self._info, "api_info"),
            ("GET", "/version", self._version, "version"),
            ("GET", "/env", self._env, "env"),
            ("GET", "/headers", self._headers, "headers"),
            ("GET", r"/delay/{seconds:\d+}", self._delay, "delay_wait_0_9"),
            ("*", r"/status/{code:\d+}", self._status, "status_code_0_9"),
            ("*", "/echo", self._echo, "echo"),
            ("*", "/api/echo", self._echo, "api_echo"),
            ("GET", "/configs", self._configs, "configs"),
            ("GET", "/panic", self._panic, "panic"),
        ]

    @web.middleware
    async def _around(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Count, delay and fail user requests; while draining, ask clients to leave."""
        label = request.match_info.route.name or ""
        started = time.perf_counter()
        response = await (self._user(request, handler) if self._is_user(request, label) else handler(request))
        seconds = time.perf_counter() - started
        if self._is_user(request, label):
            method = request.method if request.method in hdrs.METH_ALL else "OTHER"
            self.metrics.observe(method, label or "unknown", response.status, seconds)
        if self.draining:
            response.force_close()
        log.debug(
            "request", extra={"method": request.method, "path": request.path, "status": response.status}
        )
        return response

    def _is_user(self, request: web.Request, label: str) -> bool:
        return bool(label) or request.match_info.http_exception is not None

    async def _user(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if delay := self.faults.delay():
            await asyncio.sleep(delay)
        if status := self.faults.status():
            fault = {"code": status, "message": "injected fault", "hostname": self.settings.hostname}
            return web.json_response(fault, status=status)
        try:
            return await handler(request)
        except web.HTTPException as error:
            return web.json_response({"code": error.status, "message": error.reason}, status=error.status)

    async def _index(self, request: web.Request) -> web.StreamResponse:
        """A page for browsers, JSON for everybody else."""
        if "Mozilla" not in request.headers.get("User-Agent", ""):
            return await self._info(request)
        settings = self.settings
        page = PAGE.format(
            host=html.escape(settings.hostname),
            color=html.escape(settings.ui_color),
            message=html.escape(settings.message),
            version=html.escape(settings.version),
        )
        return web.Response(text=page, content_type="text/html")

    async def _info(self, _request: web.Request) -> web.StreamResponse:
        settings = self.settings
        return web.json_response(
            {
                "hostname": settings.hostname,
                "version": settings.version,
                "revision": settings.revision,
                "color": settings.ui_color,
                "logo": settings.ui_logo,
                "message": settings.message,
                "goos": platform.system().lower(),
                "goarch": platform.machine(),
                "runtime": f"python{platform.python_version()}",
                "num_goroutine": str(len(asyncio.all_tasks())),
                "num_cpu": str(os.cpu_count()),
            },
            dumps=pretty,
        )

    async def _version(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response(
            {"version": self.settings.version, "commit": self.settings.revision}, dumps=pretty
        )

    async def _env(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response(
            [f"{name}={value}" for name, value in self.settings.environ.items()], dumps=pretty
        )

    async def _headers(self, request: web.Request) -> web.StreamResponse:
        grouped: dict[str, list[str]] = {}
        for name, value in request.headers.items():
            grouped.setdefault(name.title(), []).append(value)
        return web.json_response(grouped, dumps=pretty)

    async def _delay(self, request: web.Request) -> web.StreamResponse:
        seconds = min(int(request.match_info["seconds"]), LONGEST_DELAY)
        await asyncio.sleep(seconds)
        return web.json_response({"delay": seconds})

    async def _status(self, request: web.Request) -> web.StreamResponse:
        code = int(request.match_info["code"])
        if not 200 <= code <= 599:
            raise web.HTTPBadRequest
        return web.json_response({"status": code}, status=code)

    async def _echo(self, request: web.Request) -> web.StreamResponse:
        return web.Response(
            body=await request.read(), status=202, headers={"X-Color": self.settings.ui_color}
        )

    async def _configs(self, _request: web.Request) -> web.StreamResponse:
        files = read_configs(self.settings.config_path)
        return web.json_response(files, dumps=pretty)

    async def _panic(self, _request: web.Request) -> web.StreamResponse:
        log.error("panic command received")
        os._exit(255)

    async def _healthz(self, _request: web.Request) -> web.StreamResponse:
        return verdict(self.healthy)

    async def _readyz(self, _request: web.Request) -> web.StreamResponse:
        return verdict(self.ready and not self.draining)

    async def _enable(self, _request: web.Request) -> web.StreamResponse:
        self.ready = True
        return web.json_response({"status": "OK"}, status=202)

    async def _disable(self, _request: web.Request) -> web.StreamResponse:
        self.ready = False
        return web.json_response({"status": "OK"}, status=202)

    async def _metrics(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(body=self.metrics.exposition().encode(), headers={"Content-Type": CONTENT_TYPE})


def pretty(value: object) -> str:
    """JSON as podinfo prints it, for people with curl."""
    return json.dumps(value, indent=2)


def verdict(good: bool) -> web.Response:
    """The answer of a health endpoint."""
    if good:
        return web.json_response({"status": "OK"})
    return web.json_response({"status": "Service Unavailable"}, status=503)


def read_configs(folder: str) -> dict[str, str]:
    """The files of a mounted ConfigMap or Secret by name; empty without such a directory."""
    path = Path(folder)
    if not folder or not path.is_dir():
        return {}
    return {
        file.name: file.read_text("utf-8", "replace") for file in sorted(path.iterdir()) if file.is_file()
    }
