"""The one entry for all requests: authenticate, route, authorize, dispatch; failures become a Status."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Mapping

import structlog
from aiohttp.web import BaseRequest, Response, StreamResponse
from multidict import CIMultiDict

from flagger.sandbox.apiserver.access import authenticate, authorize, authorize_path
from flagger.sandbox.apiserver.backend import Backend
from flagger.sandbox.apiserver.bodies import media_type, read_body
from flagger.sandbox.apiserver.call import Call, User
from flagger.sandbox.apiserver.info import Information, is_known_group
from flagger.sandbox.apiserver.negotiation import JSON, Media, negotiate
from flagger.sandbox.apiserver.objects import encode
from flagger.sandbox.apiserver.persistence import Durable
from flagger.sandbox.apiserver.present import Answer, show, view_of, written
from flagger.sandbox.apiserver.routes import Target, group_version, resolve, split_path
from flagger.sandbox.apiserver.status_errors import ApiError, bad_request, no_such_resource, too_many_requests
from flagger.sandbox.apiserver.types.values import DecodeError
from flagger.sandbox.apiserver.verbs import SHAPED, handler_of, has_shapes, verb_of

log = structlog.get_logger(__name__)
IN_FLIGHT = 600
"""How many requests, watches and logs aside, are worked on at a time; more get a 429."""
CACHING = "no-cache, private"


class ApiHandler:
    """Answers HTTP requests; an aiohttp low-level request handler."""

    def __init__(self, backend: Backend, information: Information, journal: Durable) -> None:
        self._backend = backend
        self._information = information
        self._journal = journal
        self._in_flight = 0

    async def __call__(self, request: BaseRequest) -> StreamResponse:
        """Answer a request; failures become Status objects."""
        try:
            return await self._answer(request)
        except ApiError as error:
            return failure(request, error)
        except DecodeError as error:
            return failure(request, bad_request(str(error)))
        except ConnectionResetError:
            raise
        except Exception as error:  # noqa: BLE001
            return defect(request, error)

    async def _answer(self, request: BaseRequest) -> StreamResponse:
        user = authenticate(request, self._backend.tokens, self._backend.authorizer)
        segments = split_path(request.path)
        found = group_version(segments)
        if found is None:
            return self._describe(request, user, segments)
        where, rest = found
        try:
            target = resolve(self._backend.registry, where, rest)
        except ApiError:
            if is_known_group(self._backend.registry, where.group):
                raise
            return page_not_found()
        return await self._counted(request, user, target)

    def _describe(self, request: BaseRequest, user: User, segments: list[str]) -> StreamResponse:
        """Answer a request for anything but a resource."""
        authorize_path(self._backend.authorizer, user, _path_verb(request.method), request.path)
        return self._information.answer(request, segments)

    async def _counted(self, request: BaseRequest, user: User, target: Target) -> StreamResponse:
        """Answer a request for a resource, and count it."""
        verb = verb_of(request.method, target, request.query)
        try:
            response = await self._resource(request, user, target, verb)
        except ApiError as error:
            self._information.requests[verb, target.resource, error.code] += 1
            raise
        self._information.requests[verb, target.resource, response.status] += 1
        return response

    async def _resource(self, request: BaseRequest, user: User, target: Target, verb: str) -> StreamResponse:
        authorize(self._backend.authorizer, user, verb, target)
        call = Call(
            request=request,
            user=user,
            target=target,
            verb=verb,
            query=dict(request.query),
            body=await read_body(request),
            content_type=media_type(request.headers.get("Content-Type")),
        )
        media = negotiate(request.headers.get("Accept", ""), tables=has_shapes(verb, target))
        if verb == "watch" or target.subresource == "log":
            return await self._stream(call)
        return respond(call, await self._limited(call), media)

    async def _stream(self, call: Call) -> StreamResponse:
        result = handler_of(call.verb, call.target)(self._backend, call)
        answer = await result if inspect.isawaitable(result) else result
        return answer if isinstance(answer, StreamResponse) else respond(call, answer, Media())

    async def _limited(self, call: Call) -> Answer:
        """Run a request that ends soon, within the limit; what it wrote is durable afterwards."""
        if self._in_flight >= IN_FLIGHT:
            raise too_many_requests("Too many requests, please try again later.", retry_after=1)
        self._in_flight += 1
        try:
            result = handler_of(call.verb, call.target)(self._backend, call)
            answer = await result if inspect.isawaitable(result) else result
            await self._journal.durable()
        finally:
            self._in_flight -= 1
        if not isinstance(answer, Answer):
            raise no_such_resource()
        return answer


def _path_verb(method: str) -> str:
    return {"GET": "get", "POST": "post", "PUT": "put", "DELETE": "delete"}.get(method, method.lower())


def respond(call: Call, answer: Answer, media: Media) -> Response:
    """Turn an answer into an HTTP response in the negotiated form."""
    raw = answer.raw
    if media.shape and call.verb in SHAPED:
        raw = show(view_of(call), raw)
    headers = CIMultiDict({"Cache-Control": CACHING, "Content-Type": media.form})
    for text in call.warnings:
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        headers.add("Warning", f'299 - "{escaped}"')
    return Response(
        status=answer.code, body=written(raw, media, pretty=is_pretty(call.request)), headers=headers
    )


def is_pretty(request: BaseRequest) -> bool:
    """Tell whether a person reads the answer."""
    asked = request.query.get("pretty")
    if asked is not None:
        return asked not in {"0", "false"}
    return request.headers.get("User-Agent", "").startswith("curl/")


def failure(request: BaseRequest, error: ApiError) -> Response:
    """Return an error as a Status; always JSON, whatever was asked for."""
    headers: Mapping[str, str] = {"Cache-Control": CACHING, "Content-Type": JSON, **error.headers}
    body = written(encode(error.body()), Media(), pretty=is_pretty(request))
    return Response(status=error.code, body=body, headers=headers)


def defect(request: BaseRequest, error: Exception) -> Response:
    """Return a 500 for what should not happen: it must cost one request, not the server.

    The trace is logged as plain text: renderers that show local variables would show objects, Secrets too.
    """
    trace = "".join(traceback.format_exception(error))
    log.error("request failed", method=request.method, path=request.path, trace=trace)
    text = f"Internal error occurred: {type(error).__name__}"
    return failure(request, ApiError(500, "InternalError", text))


def page_not_found() -> Response:
    """Return what a server says about a group it does not know: not a Status."""
    return Response(status=404, text="404 page not found\n", headers={"Cache-Control": CACHING})
