"""Reviews: questions about users and rights that are answered and not stored; and tokens on request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from flagger.sandbox.apiserver.backend import Backend
from flagger.sandbox.apiserver.bodies import object_of
from flagger.sandbox.apiserver.call import Call, User, check_options, now, timestamp
from flagger.sandbox.apiserver.objects import encode
from flagger.sandbox.apiserver.present import Answer
from flagger.sandbox.apiserver.rbac import Action
from flagger.sandbox.apiserver.status_errors import bad_request, invalid, invalid_options
from flagger.sandbox.apiserver.subresources import body_of
from flagger.sandbox.apiserver.tokens import AUDIENCE, Account
from flagger.sandbox.apiserver.types import causes
from flagger.sandbox.apiserver.types.resource_type import Object

DEFAULT_SECONDS, LEAST_SECONDS, MOST_SECONDS = 3600, 600, 2**32


def reviewed(call: Call) -> Object:
    """Read the review that was posted.

    Raises:
        ApiError: 400 or 415.
        DecodeError: a value has the wrong type.
    """
    return call.kind.prepare_create(object_of(call), now())


def _review(call: Call, status: Object) -> Answer:
    """Return the reviewed object with its status."""
    obj = reviewed(call)
    about = {"creationTimestamp": None} | {k: v for k, v in obj["metadata"].items() if k == "namespace"}
    head: Object = {"kind": call.kind.kind, "apiVersion": call.kind.api_version, "metadata": about}
    return Answer(201, encode(head | {"spec": obj.get("spec") or {}, "status": status}))


def _action(spec: Mapping[str, Any]) -> Action:
    """Read what a review asks about.

    Raises:
        ApiError: 422, it names nothing.
    """
    if path := spec.get("nonResourceAttributes"):
        return Action(path.get("verb", ""), path=path.get("path", ""))
    about = spec.get("resourceAttributes")
    if about is None:
        problem = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        raise invalid(
            "SelfSubjectAccessReview",
            "authorization.k8s.io",
            "",
            [causes.invalid("spec.resourceAttributes", "null", problem)],
        )
    subresource = about.get("subresource")
    return Action(
        verb=about.get("verb", ""),
        group=about.get("group", ""),
        resource=f"{about.get('resource', '')}/{subresource}" if subresource else about.get("resource", ""),
        namespace=about.get("namespace", ""),
        name=about.get("name", ""),
    )


def _access(backend: Backend, call: Call, user: User) -> Answer:
    verdict = backend.authorizer.decide(user, _action(reviewed(call).get("spec") or {}))
    return _review(
        call, {"allowed": verdict.allowed} | ({"reason": verdict.reason} if verdict.reason else {})
    )


def self_subject_access(backend: Backend, call: Call) -> Answer:
    """Tell the user whether they may do something."""
    return _access(backend, call, call.user)


def subject_access(backend: Backend, call: Call) -> Answer:
    """Tell whether somebody may do something."""
    spec = reviewed(call).get("spec") or {}
    if not (spec.get("user") or spec.get("groups")):
        raise invalid(
            call.kind.kind,
            call.kind.group,
            "",
            [
                causes.invalid(
                    "spec.user", spec.get("user", ""), "at least one of user or group must be specified"
                )
            ],
        )
    return _access(backend, call, User(spec.get("user") or "", tuple(spec.get("groups") or ())))


def self_subject_rules(backend: Backend, call: Call) -> Answer:
    """List what the user may do in a namespace."""
    namespace = (reviewed(call).get("spec") or {}).get("namespace")
    if not namespace:
        raise bad_request("no namespace on request")
    rules = backend.authorizer.rules_of(call.user, namespace)
    paths = [
        {"verbs": sorted(rule.verbs), "nonResourceURLs": list(rule.paths)} for rule in rules if rule.paths
    ]
    resources = [rule.resource_rule() for rule in rules if rule.resources]
    return _review(call, {"resourceRules": resources, "nonResourceRules": paths, "incomplete": False})


def self_subject(_: Backend, call: Call) -> Answer:
    """Tell the user who they are."""
    head = {"kind": call.kind.kind, "apiVersion": call.kind.api_version}
    about = {"metadata": {"creationTimestamp": timestamp(now())}, "status": {"userInfo": call.user.info()}}
    return Answer(201, encode(head | about))


def token_review(backend: Backend, call: Call) -> Answer:
    """Tell whose token this is."""
    token = (reviewed(call).get("spec") or {}).get("token") or ""
    if not token:
        raise bad_request("token is required for TokenReview in authentication")
    user = backend.tokens.user_of(token)
    if user is None:
        return _review(call, {"user": {}, "error": "invalid bearer token"})
    audiences = list(backend.tokens.audiences_of(token))
    return _review(call, {"authenticated": True, "user": user.info(), "audiences": audiences})


def token_request(backend: Backend, call: Call) -> Answer:
    """Answer POST …/serviceaccounts/NAME/token."""
    check_options(call)
    entry = backend.entry(call)
    spec = body_of(call, "authentication.TokenRequest").get("spec") or {}
    seconds = spec.get("expirationSeconds") or DEFAULT_SECONDS
    if not LEAST_SECONDS <= seconds <= MOST_SECONDS:
        text = "may not specify a duration less than 10 minutes"
        raise invalid_options("TokenRequest", causes.invalid("spec.expirationSeconds", seconds, text))
    audiences = tuple(spec.get("audiences") or (AUDIENCE,))
    token = backend.tokens.issue(Account(call.namespace, call.name, entry.uid, audiences), seconds)
    expiry = timestamp(now() + timedelta(seconds=seconds))
    answer: Object = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1"}
    answer["metadata"] = {
        "name": call.name,
        "namespace": call.namespace,
        "creationTimestamp": timestamp(now()),
    }
    answer["spec"] = {"audiences": list(audiences), "expirationSeconds": seconds, "boundObjectRef": None}
    answer["status"] = {"token": token, "expirationTimestamp": expiry}
    return Answer(201, encode(answer))


REVIEWS: Mapping[str, Callable[[Backend, Call], Answer]] = {
    "selfsubjectaccessreviews": self_subject_access,
    "subjectaccessreviews": subject_access,
    "localsubjectaccessreviews": subject_access,
    "selfsubjectrulesreviews": self_subject_rules,
    "selfsubjectreviews": self_subject,
    "tokenreviews": token_review,
}
"""Plural → what answers a POST."""
