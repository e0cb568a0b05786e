"""Session cookies in the words of HTTP: what clients are told to keep or drop, and how they are recognized. Pure."""

from __future__ import annotations

from datetime import timedelta

from flagger.api.analysis import SessionAffinity
from flagger.api.canary import Canary


def canary_cookie(canary: Canary, affinity: SessionAffinity) -> str:
    """The Set-Cookie header that keeps a client with the new revision; empty while there is no such cookie."""
    return _kept(canary.status.session_affinity_cookie, affinity.lifetime, affinity)


def primary_cookie(canary: Canary, affinity: SessionAffinity) -> str:
    """The one that keeps a client with the primary until the next step; empty where none is asked for."""
    cookie = canary.status.primary_session_affinity_cookie if affinity.primary_cookie_name else ""
    return _kept(cookie, canary.interval(), affinity)


def dropped_cookie(canary: Canary, affinity: SessionAffinity) -> str:
    """The one by which clients drop the cookie of the run before; empty where there was none.

    It has the attributes that the cookie was set with: browsers would otherwise take it for another one.
    """
    cookie = canary.status.previous_session_affinity_cookie
    return f"{cookie}; Max-Age=-1{_attributes(affinity)}" if cookie else ""


def pattern(cookie: str) -> str:
    """The regular expression by which a Cookie header with this cookie, `name=value`, is recognized."""
    name, _, value = cookie.partition(";")[0].partition("=")
    return f".*{name}.*{value}.*"


def _kept(cookie: str, lifetime: timedelta, affinity: SessionAffinity) -> str:
    age = lifetime // timedelta(seconds=1)
    return f"{cookie}; Max-Age={age}{_attributes(affinity)}" if cookie else ""


def _attributes(affinity: SessionAffinity) -> str:
    """What else is said of a cookie, in the order that upstream has."""
    given = (
        affinity.domain and f"Domain={affinity.domain}",
        affinity.http_only and "HttpOnly",
        affinity.partitioned and "Partitioned",
        affinity.path and f"Path={affinity.path}",
        affinity.same_site and f"SameSite={affinity.same_site}",
        affinity.secure and "Secure",
    )
    return "".join(f"; {attribute}" for attribute in given if attribute)
