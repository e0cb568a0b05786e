"""The texts of session cookies: what clients are given, what gives them away, what takes a cookie back. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

from flagger.api.analysis import SessionAffinity
from flagger.api.canary import Canary

_CHOICES = re.compile(r"[$*+^|]")
"""What a cookie's name may hold that means more than itself in a pattern. A dot means itself too."""


def canary_cookie(canary: Canary, affinity: SessionAffinity) -> str:
    """The Set-Cookie value for clients that the new revision answered."""
    return _given(canary.status.session_affinity_cookie, affinity, affinity.lifetime)


def primary_cookie(canary: Canary, affinity: SessionAffinity) -> str:
    """The Set-Cookie value for clients that the primary answered: they choose anew after an interval."""
    interval = canary.spec.analysis.interval_at_least(timedelta())
    return _given(canary.status.primary_session_affinity_cookie, affinity, interval)


def dropped_cookie(canary: Canary, affinity: SessionAffinity) -> str:
    """The Set-Cookie value that makes clients drop the cookie of the last run; only the same attributes do."""
    return _given(canary.status.previous_session_affinity_cookie, affinity, timedelta(seconds=-1))


def cookie_pattern(cookie: str) -> str:
    """The regular expression of Cookie headers that hold a cookie, which is given as `name=value`."""
    name, _, value = cookie.partition("=")
    plain = _CHOICES.sub(r"\\\g<0>", name)
    return f".*{plain}.*{value}.*"


def _given(cookie: str, affinity: SessionAffinity, lifetime: timedelta) -> str:
    return "; ".join((cookie, f"Max-Age={lifetime // timedelta(seconds=1)}", *_attributes(affinity)))


def _attributes(affinity: SessionAffinity) -> Iterator[str]:
    texts = {"Path": affinity.path, "SameSite": affinity.same_site}
    if affinity.domain:
        yield f"Domain={affinity.domain}"
    if affinity.http_only:
        yield "HttpOnly"
    if affinity.partitioned:
        yield "Partitioned"
    yield from (f"{name}={text}" for name, text in texts.items() if text)
    if affinity.secure:
        yield "Secure"
