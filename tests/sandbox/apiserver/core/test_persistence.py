"""State that outlives the process."""

import asyncio
import json
import os
import signal
import sqlite3
import ssl
import sys
from pathlib import Path

import aiohttp
import pytest

from flagger.sandbox.apiserver import ApiServer
from flagger.sandbox.apiserver.persistence import FILE, DataInUseError, Journal
from tests.conformance.kubernetes_api.objects import widget, widget_definition
from tests.sandbox.apiserver.core.conftest import CONFIG_MAPS, calling

CHILD = """
import asyncio, json, sys
from pathlib import Path
from flagger.sandbox.apiserver import ApiServer

async def main() -> None:
    server = ApiServer(Path(sys.argv[1]))
    await server.start()
    print(json.dumps([server.url, server.admin_token, server.ca_pem]), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_restart_keeps_everything(tmp_path: Path) -> None:
    """Objects, definitions, tokens and the certificate authority are those of before; versions go on."""
    async with ApiServer(tmp_path) as first, calling(first) as call:
        made = await call.ok("POST", CONFIG_MAPS, {"metadata": {"name": "a"}, "data": {"x": "y"}})
        await call.ok("POST", CONFIG_MAPS, {"metadata": {"name": "b"}})
        await call.ok("DELETE", f"{CONFIG_MAPS}/b")
        crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        await call.ok("POST", crds, widget_definition("example.com"))
        await call.ok("POST", "/apis/example.com/v1/namespaces/default/widgets", widget("example.com"))
        account = "/api/v1/namespaces/default/serviceaccounts"
        await call.ok("POST", account, {"metadata": {"name": "robot"}})
        token = (await call.ok("POST", f"{account}/robot/token", {}))["status"]["token"]
        revision = first.store.revision

    async with ApiServer(tmp_path) as second, calling(second) as call:
        assert (second.admin_token, second.ca_pem) == (first.admin_token, first.ca_pem)
        assert await call.ok("GET", f"{CONFIG_MAPS}/a") == made
        assert (await call("GET", f"{CONFIG_MAPS}/b"))[0] == 404
        found = await call.ok("GET", "/apis/example.com/v1/namespaces/default/widgets/one")
        assert found["spec"]["size"] == 3
        later = await call.ok("POST", CONFIG_MAPS, {"metadata": {"name": "c"}})
        assert int(later["metadata"]["resourceVersion"]) > revision
        review = {"spec": {"token": token}}
        status = (await call.ok("POST", "/apis/authentication.k8s.io/v1/tokenreviews", review))["status"]
        assert status["authenticated"] is True
        event = await call.ok("GET", CONFIG_MAPS, watch="1", resourceVersion=str(revision))
        assert event["object"]["code"] == 410  # whoever saw the old server lists again


async def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    """A server killed in the middle of writes has, when it comes back, every object it had confirmed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        url, token, ca = json.loads(await process.stdout.readline())
        confirmed = await _write_until_killed(process.pid, url, token, ca)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()

    assert confirmed
    async with ApiServer(tmp_path) as server:
        kept = {entry.key[1] for entry in server.store.entries("configmaps", "default")}
    assert confirmed <= kept


async def _write_until_killed(pid: int, url: str, token: str, ca: str) -> set[str]:
    confirmed: set[str] = set()
    headers = {"Authorization": f"Bearer {token}"}
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cadata=ca))
    async with aiohttp.ClientSession(url, connector=connector, headers=headers) as session:

        async def write(lane: int) -> None:
            for number in range(10_000):
                name = f"c{lane}-{number}"
                async with session.post(CONFIG_MAPS, json={"metadata": {"name": name}}) as response:
                    assert response.status == 201
                    await response.read()
                confirmed.add(name)
                if len(confirmed) == 100:
                    os.kill(pid, signal.SIGKILL)

        results = await asyncio.gather(*(write(lane) for lane in range(4)), return_exceptions=True)
    assert all(isinstance(result, aiohttp.ClientError) for result in results)
    return confirmed


async def test_the_database_is_private(tmp_path: Path) -> None:
    """Nobody else may read the secrets in it."""
    async with ApiServer(tmp_path / "data"):
        pass

    assert (tmp_path / "data" / FILE).stat().st_mode & 0o077 == 0


async def test_one_server_per_directory(tmp_path: Path) -> None:
    """A second server on the same directory is refused, with what to do."""
    async with ApiServer(tmp_path):
        with pytest.raises(DataInUseError, match="stop the server that uses it"):
            ApiServer(tmp_path)

    async with ApiServer(tmp_path):
        pass


async def test_a_write_that_cannot_be_kept_fails(tmp_path: Path) -> None:
    """When the disk refuses, the writer is told, and the next write tries again."""
    async with ApiServer(tmp_path) as server, calling(server) as call:
        journal = server._journal
        assert isinstance(journal, Journal)
        await journal.durable()
        journal._database.execute("PRAGMA query_only = 1")
        status, answer = await call("POST", CONFIG_MAPS, {"metadata": {"name": "a"}})
        assert (status, answer["message"]) == (500, "Internal error occurred: OperationalError")
        journal._database.execute("PRAGMA query_only = 0")
        await call.ok("POST", CONFIG_MAPS, {"metadata": {"name": "b"}})

    with sqlite3.connect(tmp_path / FILE) as database:
        rows = database.execute("SELECT name FROM objects WHERE storage = 'configmaps'").fetchall()
    database.close()
    assert {name for (name,) in rows} >= {"a", "b"}


@pytest.mark.parametrize("again", [False, True], ids=["first start", "second start"])
async def test_start_with_an_empty_directory(tmp_path: Path, again: bool) -> None:
    """A data directory is made where there is none, and is good for as many starts as one likes."""
    for _ in range(2 if again else 1):
        async with ApiServer(tmp_path / "new" / "data") as server, calling(server) as call:
            namespaces = await call.ok("GET", "/api/v1/namespaces")

    assert {"default", "kube-system"} <= {item["metadata"]["name"] for item in namespaces["items"]}
