"""Bearer tokens: static ones, and signed ones of service accounts (RFC 7519, ES256)."""

from __future__ import annotations

import base64
import binascii
import hmac
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from flagger.sandbox.apiserver.call import User
from flagger.sandbox.apiserver.store import Store

AUDIENCE = "https://kubernetes.default.svc"
AUTHENTICATED = "system:authenticated"
ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))
ALGORITHM = ec.ECDSA(hashes.SHA256())
HALF = 32
"""Bytes of each half of an ES256 signature."""


@dataclass(frozen=True, slots=True)
class Account:
    """A service account and the audiences a token for it is good for."""

    namespace: str
    name: str
    uid: str
    audiences: tuple[str, ...] = (AUDIENCE,)

    def user(self) -> User:
        """Return the user that the account's tokens log in."""
        name = f"system:serviceaccount:{self.namespace}:{self.name}"
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{self.namespace}", AUTHENTICATED)
        return User(name, groups, self.uid)


def admin() -> User:
    """Return the user that may do everything."""
    return User("admin", ("system:masters", AUTHENTICATED), "admin")


class Tokens:
    """Tells who a token belongs to, and makes tokens for service accounts."""

    def __init__(
        self,
        static: Mapping[str, User],
        key: ec.EllipticCurvePrivateKey,
        store: Store,
        clock: Callable[[], datetime],
    ) -> None:
        self._static = {token.encode(): _authenticated(user) for token, user in static.items()}
        self._key = key
        self._store = store
        self._clock = clock
        self._verified: dict[str, Mapping[str, Any]] = {}

    def user_of(self, token: str) -> User | None:
        """Return the user behind a token, or None if it is unknown, expired or its account is gone."""
        for known, user in self._static.items():
            if hmac.compare_digest(known, token.encode()):
                return user
        account = self._account_of(token)
        return account.user() if account else None

    def audiences_of(self, token: str) -> Sequence[str]:
        """Return the audiences a token is good for."""
        claims = self._verified.get(token)
        return list(claims["aud"]) if claims else [AUDIENCE]

    def issue(self, account: Account, seconds: int) -> str:
        """Return a token that is good for `seconds`."""
        issued = int(self._clock().timestamp())
        claims = {
            "aud": list(account.audiences),
            "exp": issued + seconds,
            "iat": issued,
            "iss": AUDIENCE,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": {
                "namespace": account.namespace,
                "serviceaccount": {"name": account.name, "uid": account.uid},
            },
            "nbf": issued,
            "sub": f"system:serviceaccount:{account.namespace}:{account.name}",
        }
        signed = (
            f"{_b64(msgspec.json.encode({'alg': 'ES256', 'typ': 'JWT'}))}.{_b64(msgspec.json.encode(claims))}"
        )
        first, second = utils.decode_dss_signature(self._key.sign(signed.encode(), ALGORITHM))
        return f"{signed}.{_b64(first.to_bytes(HALF, 'big') + second.to_bytes(HALF, 'big'))}"

    def _account_of(self, token: str) -> Account | None:
        claims = self._verified.get(token) or self._verify(token)
        if claims is None or claims["exp"] <= self._clock().timestamp():
            self._verified.pop(token, None)
            return None
        about = claims["kubernetes.io"]
        account = Account(about["namespace"], about["serviceaccount"]["name"], about["serviceaccount"]["uid"])
        entry = self._store.get("serviceaccounts", (account.namespace, account.name))
        return account if entry is not None and entry.uid == account.uid else None

    def _verify(self, token: str) -> Mapping[str, Any] | None:
        """Check a signature; good claims are remembered, because clients send them with every request."""
        signed, _, signature = token.rpartition(".")
        try:
            raw = _unb64(signature)
            halves = int.from_bytes(raw[:HALF], "big"), int.from_bytes(raw[HALF:], "big")
            proof = utils.encode_dss_signature(*halves)
            self._key.public_key().verify(proof, signed.encode(), ALGORITHM)
            claims: Mapping[str, Any] = msgspec.json.decode(_unb64(signed.partition(".")[2]))
        except (InvalidSignature, binascii.Error, ValueError):
            return None
        self._verified[token] = claims
        return claims


def _authenticated(user: User) -> User:
    groups = user.groups if AUTHENTICATED in user.groups else (*user.groups, AUTHENTICATED)
    return User(user.name, groups, user.uid)


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
