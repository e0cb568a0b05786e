"""The rules of an HTTPRoute that keep clients with the version they saw, and take the cookies back. Pure.

They come before the weighted rule and are like it but for what they match and where they lead.
"""

from __future__ import annotations

from collections.abc import Iterator

from flagger.api.analysis import SessionAffinity
from flagger.api.canary import Canary
from flagger.kube.objects import Object
from flagger.rollout.state import AWAY, HOME, Split
from flagger.routing.cookies import canary_cookie, cookie_pattern, dropped_cookie, primary_cookie
from flagger.routing.providers.gateway_api.filters import adding_header
from flagger.routing.providers.gateway_api.matches import narrowed

_SET_COOKIE = "Set-Cookie"


def pinned_rules(canary: Canary, split: Split, weighted: Object, *, both: bool) -> Iterator[Object]:
    """The weighted rule, after those for clients with cookies; `both` says that the primary has a cookie too.

    While the new revision has traffic they lead where the client was before. Afterwards the cookie of the
    last run is taken back from whoever still sends it.
    """
    affinity, status = canary.spec.analysis.session_affinity, canary.status
    if affinity is None:
        yield weighted
    elif split.canary and status.session_affinity_cookie:
        yield _for_holders(weighted, status.session_affinity_cookie, AWAY)
        pins_primary = both and _has_primary_cookie(canary, affinity)
        if pins_primary:
            yield _for_holders(weighted, status.primary_session_affinity_cookie, HOME)
        yield _giving(
            weighted,
            primary_cookie(canary, affinity) if pins_primary else "",
            canary_cookie(canary, affinity),
        )
    else:
        if not split.canary and status.previous_session_affinity_cookie:
            rule = _for_holders(weighted, status.previous_session_affinity_cookie, HOME)
            taken_back = adding_header(weighted["filters"], _SET_COOKIE, dropped_cookie(canary, affinity))
            yield rule | {"filters": taken_back}
        yield _giving(weighted, "", "")


def _has_primary_cookie(canary: Canary, affinity: SessionAffinity) -> bool:
    """Upstream leaves cookies without a name, or with an earlier one."""
    name = affinity.primary_cookie_name
    return bool(name) and canary.status.primary_session_affinity_cookie.startswith(f"{name}=")


def _for_holders(weighted: Object, cookie: str, split: Split) -> Object:
    """The rule for the clients that hold a cookie."""
    condition = {"type": "RegularExpression", "name": "Cookie", "value": cookie_pattern(cookie)}
    backends = [
        backend | {"weight": weight}
        for backend, weight in zip(weighted["backendRefs"], (split.primary, split.canary), strict=True)
    ]
    return weighted | {"matches": narrowed(weighted["matches"], condition), "backendRefs": backends}


def _giving(weighted: Object, *cookies: str) -> Object:
    """The rule whose backends, primary first, give cookies with their answers; an empty one is none."""
    backends = [
        backend | {"filters": adding_header(None, _SET_COOKIE, cookie) if cookie else None}
        for backend, cookie in zip(weighted["backendRefs"], cookies, strict=True)
    ]
    return weighted | {"backendRefs": backends}
