"""Who sends a request, and whether they may: authentication, impersonation, and the texts of refusals."""

from __future__ import annotations

from aiohttp.web import BaseRequest

from flagger.sandbox.apiserver.call import User
from flagger.sandbox.apiserver.rbac import Action, Authorizer
from flagger.sandbox.apiserver.routes import Target
from flagger.sandbox.apiserver.status_errors import ApiError, details_of, forbidden, unauthorized
from flagger.sandbox.apiserver.tokens import ANONYMOUS, AUTHENTICATED, Tokens


def authenticate(request: BaseRequest, tokens: Tokens, authorizer: Authorizer) -> User:
    """Return the user of a request.

    Raises:
        ApiError: 401 for an unknown token, 403 for an impersonation that is not allowed.
    """
    header = request.headers.get("Authorization", "")
    if not header:
        return ANONYMOUS
    scheme, _, token = header.partition(" ")
    user = tokens.user_of(token.strip()) if scheme.lower() == "bearer" else None
    if user is None:
        raise unauthorized()
    return _impersonated(request, user, authorizer)


def _impersonated(request: BaseRequest, user: User, authorizer: Authorizer) -> User:
    name = request.headers.get("Impersonate-User")
    if not name:
        return user
    _check(authorizer, user, Action("impersonate", "", "users", name=name))
    groups = request.headers.getall("Impersonate-Group", [])
    for group in groups:
        _check(authorizer, user, Action("impersonate", "", "groups", name=group))
    return User(name, tuple(dict.fromkeys((*groups, AUTHENTICATED))))


def _check(authorizer: Authorizer, user: User, action: Action) -> None:
    if not authorizer.decide(user, action).allowed:
        raise ApiError(
            403,
            "Forbidden",
            f'{action.resource} "{action.name}" is forbidden: {_sentence(user, action)}',
            details=details_of(action.resource, action.group, action.name),
        )


def authorize(authorizer: Authorizer, user: User, verb: str, target: Target) -> None:
    """Let an action on a resource pass.

    Raises:
        ApiError: 403, naming verb, resource, API group and namespace.
    """
    action = Action(verb, target.kind.group, target.resource, target.namespace or "", target.name)
    if not authorizer.decide(user, action).allowed:
        raise forbidden(target.kind, target.name, _sentence(user, action))


def _sentence(user: User, action: Action) -> str:
    where = f'in the namespace "{action.namespace}"' if action.namespace else "at the cluster scope"
    what = f'cannot {action.verb} resource "{action.resource}" in API group "{action.group}"'
    return f'User "{user.name}" {what} {where}'


def authorize_path(authorizer: Authorizer, user: User, verb: str, path: str) -> None:
    """Let a request for a non-resource URL pass.

    Raises:
        ApiError: 403.
    """
    if not authorizer.decide(user, Action(verb, path=path)).allowed:
        text = f'forbidden: User "{user.name}" cannot {verb} path "{path}"'
        raise ApiError(403, "Forbidden", text, details={})
