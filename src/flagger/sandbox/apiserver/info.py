"""Everything that is not a resource: version, health, discovery, OpenAPI, metrics, and the list of paths."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from aiohttp.web import BaseRequest, Response

from flagger.sandbox.apiserver.negotiation import JSON, Media, clauses, negotiate
from flagger.sandbox.apiserver.objects import encode
from flagger.sandbox.apiserver.present import written
from flagger.sandbox.apiserver.status_errors import ApiError, method_not_allowed, no_such_resource
from flagger.sandbox.apiserver.store import Store
from flagger.sandbox.apiserver.types import discovery
from flagger.sandbox.apiserver.types.openapi import OpenApi
from flagger.sandbox.apiserver.types.registry import Registry
from flagger.sandbox.apiserver.types.resource_type import Object
from flagger.sandbox.apiserver.watch import Hub

VERSION: Mapping[str, str] = {
    "major": "1",
    "minor": "32",
    "gitVersion": "v1.32.0",
    "gitCommit": "0000000000000000000000000000000000000000",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "none",
    "compiler": "cpython",
    "platform": "linux/amd64",
}
"""Names the Kubernetes release whose features are served; clients choose their requests by it."""
CHECKS = ("ping", "log", "etcd", "poststarthook/crd-informer-synced")
TEXT = "text/plain; charset=utf-8"
PATHS = (
    *("/.well-known/openid-configuration", "/api", "/api/v1", "/apis", "/healthz", "/livez", "/metrics"),
    *("/openapi/v2", "/openapi/v3", "/readyz", "/version"),
)


def is_known_group(registry: Registry, group: str) -> bool:
    """Tell whether any version of a group is served."""
    return group in registry.versions()


def _text(body: str, code: int = 200) -> Response:
    return Response(
        status=code, body=body.encode(), headers={"Content-Type": TEXT, "Cache-Control": "no-cache, private"}
    )


class Information:
    """Answers requests for non-resource paths."""

    def __init__(self, registry: Registry, store: Store, hub: Hub, address: Callable[[], str]) -> None:
        self._registry = registry
        self._store = store
        self._hub = hub
        self._address = address
        self._schemas = OpenApi(registry)
        self.requests: Counter[tuple[str, str, int]] = Counter()
        """Verb, resource and code of answered requests."""
        self._routes: Mapping[str, Callable[[BaseRequest, Sequence[str]], Response]] = {
            "": lambda request, _: self._document(request, {"paths": self._paths()}),
            "version": lambda request, _: self._document(request, dict(VERSION)),
            "healthz": self._health,
            "livez": self._health,
            "readyz": self._health,
            "metrics": lambda *_: _text("\n".join(self._metrics()) + "\n"),
            "api": self._discovery,
            "apis": self._discovery,
            "openapi": self._openapi,
        }

    def answer(self, request: BaseRequest, segments: Sequence[str]) -> Response:
        """Answer a request for a path that names no resource.

        Raises:
            ApiError: 404, 405 or 406.
        """
        if request.method not in {"GET", "HEAD"}:
            raise method_not_allowed()
        route = self._routes.get(segments[0] if segments else "")
        if route is None:
            body = written(encode({"paths": self._paths()}), Media(), pretty=True)
            return Response(status=404, body=body, headers={"Content-Type": JSON})
        return route(request, segments[1:])

    def _document(self, request: BaseRequest, document: Object, content_type: str = "") -> Response:
        media = Media() if content_type else negotiate(request.headers.get("Accept", ""), tables=False)
        body = written(encode(document), media, pretty="pretty" in request.query)
        headers = {
            "Content-Type": content_type or media.form,
            "Cache-Control": "no-cache, private",
            "Vary": "Accept",
        }
        return Response(body=body, headers=headers)

    def _paths(self) -> list[str]:
        groups = [f"/apis/{group}" for group in self._registry.versions() if group]
        versions = [
            f"/apis/{group}/{version}"
            for group, names in self._registry.versions().items()
            for version in names
            if group
        ]
        return sorted({*PATHS, *groups, *versions})

    def _health(self, request: BaseRequest, segments: Sequence[str]) -> Response:
        if segments and "/".join(segments) not in CHECKS:
            raise ApiError(404, "NotFound", "404 page not found", details={})
        if "verbose" not in request.query:
            return _text("ok")
        name = request.path.strip("/").partition("/")[0]
        lines = [f"[+]{check} ok" for check in CHECKS]
        return _text("\n".join([*lines, f"{name} check passed"]) + "\n")

    def _discovery(self, request: BaseRequest, segments: Sequence[str]) -> Response:
        core = request.path.strip("/").partition("/")[0] == "api"
        if not segments:
            return self._index(request, core=core)
        group, version = ("", segments[0]) if core else (segments[0], "".join(segments[1:2]))
        if version:
            document = discovery.api_resources(self._registry, group, version)
        else:
            document = discovery.api_group(self._registry, group)
        if document is not None:
            return self._document(request, document)
        if group and not is_known_group(self._registry, group):
            return _text("404 page not found\n", 404)
        raise no_such_resource()

    def _index(self, request: BaseRequest, *, core: bool) -> Response:
        """Answer `/api` or `/apis`: aggregated if that is asked for first, else the classic document."""
        version = _aggregated_version(request.headers.get("Accept", ""))
        if version:
            document = discovery.aggregated(self._registry, core=core, version=version)
            return self._document(request, document, discovery.aggregated_type(version))
        if core:
            return self._document(request, discovery.api_versions(self._address()))
        return self._document(request, discovery.api_groups(self._registry))

    def _openapi(self, request: BaseRequest, segments: Sequence[str]) -> Response:
        """Answer with OpenAPI v3 only; clients that find no v2 do without."""
        if not segments or segments[0] != "v3":
            raise no_such_resource()
        if not segments[1:]:
            return self._document(request, self._schemas.index())
        document = self._schemas.document("/".join(segments[1:]))
        if document is None:
            raise no_such_resource()
        # The URL from the index carries a hash of the content, so that it may be kept.
        caching = "public, max-age=31536000, immutable" if "hash" in request.query else "no-cache, private"
        return Response(
            body=document, headers={"Content-Type": JSON, "Cache-Control": caching, "Vary": "Accept"}
        )

    def _metrics(self) -> Iterator[str]:
        """Write the few metrics that tell how busy the server is, in Prometheus' text format."""
        yield "# TYPE apiserver_storage_objects gauge"
        for storage, count in sorted(self._store.counts().items()):
            yield f'apiserver_storage_objects{{resource="{storage}"}} {count}'
        yield "# TYPE apiserver_longrunning_requests gauge"
        yield f'apiserver_longrunning_requests{{verb="WATCH"}} {self._hub.count}'
        yield "# TYPE apiserver_request_total counter"
        for (verb, resource, code), count in sorted(self.requests.items()):
            yield f'apiserver_request_total{{verb="{verb}",resource="{resource}",code="{code}"}} {count}'


def _aggregated_version(accept: str) -> str:
    """Return the version of aggregated discovery that is asked for before plain JSON, or ""."""
    for clause in clauses(accept):
        if clause.parameters.get("as") == "APIGroupDiscoveryList":
            version = clause.parameters.get("v", "")
            if version in discovery.AGGREGATED_VERSIONS:
                return version
        elif clause.media_type in {JSON, "*/*"}:
            return ""
    return ""
