"""What each chat service receives, case by case, over real sockets."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from flagger.api.alert_provider import AlertProviderType
from flagger.notify.table import CHANNELS
from flagger.rollout.state import Alert, Severity
from tests.fakes.scripted import ScriptedServer
from tests.notify.alerting import a_canary, an_office, to

GOLDEN = Path(__file__).parents[2] / "golden/alerts"


def cases() -> list[Any]:
    files = {kind: yaml.safe_load((GOLDEN / f"{kind}.yaml").read_text()) for kind in AlertProviderType}
    return [pytest.param(case, id=f"{kind}: {case['id']}") for kind in files for case in files[kind]]


@pytest.mark.parametrize("case", cases())
async def test_request(case: dict[str, Any]) -> None:
    """Path, credentials and the whole body, from an AlertProvider with a Secret."""
    alert = Alert(
        case["alert"]["text"], Severity(case["alert"]["severity"]), case["alert"].get("facts", False)
    )
    async with ScriptedServer() as server, an_office(cluster_name=case.get("cluster", "eu-1")) as office:
        office.secret("chat", address=f" {server.url}{case['path']}\n", token=f"{case.get('token', '')}\n")
        office.provider("chat", **case["provider"], secretRef={"name": "chat"})
        await office.tell(a_canary(to("chat")), alert)

    (request,) = server.received
    assert (request.method, request.target) == ("POST", case.get("sent_to", case["path"]))
    assert request.header("content-type") == ["application/json"]
    assert request.header("authorization") == ([case["authorization"]] if "authorization" in case else [])
    assert json.loads(request.body) == case["body"]


def test_every_type_has_a_channel() -> None:
    """Whatever the CRD allows can be sent."""
    assert set(CHANNELS) == set(AlertProviderType)
