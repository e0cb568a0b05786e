"""Who may do what: authentication, RBAC, reviews, tokens."""

import asyncio
import base64
import json
from typing import Any

import pytest

from tests.conformance.kubernetes_api.objects import config_map
from tests.conformance.kubernetes_api.servers import Api, until

Object = dict[str, Any]
RBAC = "rbac.authorization.k8s.io/v1"
AUTHORIZATION = "/apis/authorization.k8s.io/v1"
AUTHENTICATION = "/apis/authentication.k8s.io/v1"


@pytest.fixture
async def dev(api: Api) -> Api:
    """A client with the token of a service account that has no rights."""
    await api.create("serviceaccounts", {"metadata": {"name": "dev"}})
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    made = (await api.post(api.path("serviceaccounts", "dev/token"), body)).ok()
    return api.as_user(made["status"]["token"])


async def allow(api: Api, *rules: Object) -> None:
    """Give the service account dev a role in its namespace."""
    role = {"metadata": {"name": "reader"}, "rules": list(rules)}
    await api.create("roles", role, group=RBAC)
    subject = {"kind": "ServiceAccount", "name": "dev", "namespace": api.namespace}
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    await api.create(
        "rolebindings", {"metadata": {"name": "dev"}, "subjects": [subject], "roleRef": ref}, group=RBAC
    )


async def test_unknown_tokens(api: Api) -> None:
    """A token nobody knows is 401, even where none is needed."""
    body = (await api.as_user("nonsense").get("/api/v1/namespaces")).failed(401, "Unauthorized")

    assert body["message"] == "Unauthorized"


async def test_anonymous(api: Api) -> None:
    """Without a token one is system:anonymous, who may read little more than the version."""
    nobody = api.as_user("")

    body = (await nobody.get("/api/v1/namespaces")).failed(403, "Forbidden")
    assert body["message"] == (
        'namespaces is forbidden: User "system:anonymous" cannot list resource "namespaces" '
        'in API group "" at the cluster scope'
    )
    body = (await nobody.get("/metrics")).failed(403, "Forbidden")
    assert body["message"] == 'forbidden: User "system:anonymous" cannot get path "/metrics"'


async def test_without_rights(api: Api, dev: Api) -> None:
    """The refusal names user, verb, resource, group and namespace."""
    who = f"system:serviceaccount:{api.namespace}:dev"

    body = (await dev.get(api.path("deployments", group="apps/v1"))).failed(403, "Forbidden")
    assert body["message"] == (
        f'deployments.apps is forbidden: User "{who}" cannot list resource "deployments" '
        f'in API group "apps" in the namespace "{api.namespace}"'
    )
    assert body["details"] == {"group": "apps", "kind": "deployments"}
    body = (await dev.get(api.path("configmaps", "x"))).failed(403, "Forbidden")
    assert 'configmaps "x" is forbidden' in body["message"]
    assert body["details"] == {"name": "x", "kind": "configmaps"}


async def test_anybody_may_discover(dev: Api) -> None:
    """A user without rights may read discovery documents."""
    for path in ("/api", "/apis", "/apis/apps/v1", "/version"):
        assert (await dev.get(path)).status == 200, path


async def test_roles(api: Api, dev: Api) -> None:
    """A role allows its verbs on its resources in its namespace, and nothing else."""
    rules = [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["mine"]},
    ]
    await api.create("configmaps", config_map())
    await api.create("secrets", {"metadata": {"name": "mine"}})
    await allow(api, *rules)

    async def allowed() -> bool:
        return (await dev.get(api.path("configmaps"))).status == 200

    await until(allowed, "the role is known")
    assert (await dev.get(api.path("configmaps", "settings"))).status == 200
    assert (await dev.get(api.path("secrets", "mine"))).status == 200
    for method, path in (
        ("GET", api.path("secrets")),
        ("GET", api.path("secrets", "other")),
        ("DELETE", api.path("configmaps", "settings")),
        ("GET", api.path("configmaps", namespace="default")),
        ("GET", "/api/v1/configmaps"),
        ("GET", api.path("configmaps") + "?watch=1"),
    ):
        assert (await dev.request(method, path)).status == 403, path


async def test_access_reviews(api: Api, dev: Api) -> None:
    """SelfSubjectAccessReview asks for oneself, SubjectAccessReview for others."""
    await allow(api, {"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get"]})
    where = {"namespace": api.namespace, "verb": "get", "resource": "pods"}

    async def ask(attributes: Object) -> bool:
        body = {"spec": {"resourceAttributes": attributes}}
        reply = await dev.post(f"{AUTHORIZATION}/selfsubjectaccessreviews", body)
        assert reply.status == 201
        return bool(reply.body["status"]["allowed"])

    await until(lambda: ask(where), "the role is known")
    assert await ask(where | {"subresource": "log"})
    assert not await ask(where | {"verb": "list"})
    assert not await ask(where | {"subresource": "exec"})
    user = f"system:serviceaccount:{api.namespace}:dev"
    body = {"spec": {"user": user, "resourceAttributes": where}}
    status = (await api.post(f"{AUTHORIZATION}/subjectaccessreviews", body)).ok()["status"]
    assert status["allowed"] is True
    assert f'RoleBinding "dev/{api.namespace}" of Role "reader"' in status["reason"]


async def test_rules_reviews(api: Api, dev: Api) -> None:
    """SelfSubjectRulesReview lists what one may do."""
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
    await allow(api, rule)

    async def listed() -> bool:
        body = {"spec": {"namespace": api.namespace}}
        reply = await dev.post(f"{AUTHORIZATION}/selfsubjectrulesreviews", body)
        return rule in reply.ok()["status"]["resourceRules"]

    await until(listed, "the rule is listed")


async def test_token_reviews(api: Api, dev: Api) -> None:
    """TokenReview tells whose token it is."""
    path = f"{AUTHENTICATION}/tokenreviews"

    status = (await api.post(path, {"spec": {"token": dev.token}})).ok()["status"]
    assert status["authenticated"] is True
    assert status["user"]["username"] == f"system:serviceaccount:{api.namespace}:dev"
    assert {"system:serviceaccounts", "system:authenticated"} <= set(status["user"]["groups"])
    status = (await api.post(path, {"spec": {"token": "nope"}})).ok()["status"]
    assert status.get("authenticated", False) is False
    assert status["error"]


async def test_who_am_i(api: Api, dev: Api) -> None:
    """SelfSubjectReview tells who one is."""
    api.server.needs(28)

    info = (await dev.post(f"{AUTHENTICATION}/selfsubjectreviews", {})).ok()["status"]["userInfo"]

    assert info["username"] == f"system:serviceaccount:{api.namespace}:dev"


async def test_token_requests(api: Api, dev: Api) -> None:
    """A token is a JWT about the account; it ends when asked, and dies with the account."""
    claims = json.loads(base64.urlsafe_b64decode(dev.token.split(".")[1] + "=="))
    assert claims["sub"] == f"system:serviceaccount:{api.namespace}:dev"
    assert claims["exp"] - claims["iat"] == 3600
    assert claims["kubernetes.io"]["serviceaccount"]["name"] == "dev"

    await api.delete(api.path("serviceaccounts", "dev"))

    async def dead() -> bool:
        return (await dev.get("/api")).status == 401

    await until(dead, "the token is dead", 15)


async def test_forged_tokens(dev: Api) -> None:
    """A token that was changed is nobody's."""
    head, body, signature = dev.token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "==")) | {"sub": "admin"}
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()

    for token in (
        f"{head}.{forged}.{signature}",
        f"{head}.{body}.",
        f"{head}.{body}",
        f"{dev.token}x",
        "a.b.c",
    ):
        assert (await dev.as_user(token).get("/api")).status == 401, token


async def test_impersonation(api: Api, dev: Api) -> None:
    """The administrator may act as others; others may not."""
    headers = {"Impersonate-User": "jane", "Impersonate-Group": "developers"}

    body = (await api.get(api.path("pods"), headers=headers)).failed(403, "Forbidden")
    assert 'User "jane"' in body["message"]
    body = (await dev.get("/api", headers={"Impersonate-User": "jane"})).failed(403, "Forbidden")
    assert 'cannot impersonate resource "users"' in body["message"]


async def test_parallel_requests(api: Api) -> None:
    """Many requests at once are all answered."""
    replies = await asyncio.gather(*(api.get(api.path("configmaps")) for _ in range(100)))

    assert {reply.status for reply in replies} == {200}
