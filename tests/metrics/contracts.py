"""The contract of each provider over HTTP, from golden files: what is asked, and what comes of the answers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from flagger.api.metric_template import MetricProvider as ProviderSpec
from flagger.api.metric_template import MetricProviderType
from flagger.api.quantities import parse_duration
from flagger.api.references import SecretRef
from flagger.metrics.base import MetricProvider, Tools
from flagger.metrics.table import provider_for
from tests.fakes.scripted import Received, Reply, Script

FOLDER = Path(__file__).parent / "golden" / "providers"
TOKEN = "/token"  # where a fake of Google gives out access tokens


@dataclass(frozen=True)
class Contract:
    """One golden file."""

    type: MetricProviderType
    golden: Mapping[str, Any]

    @property
    def window(self) -> timedelta:
        return parse_duration(self.golden["window"])

    @property
    def query(self) -> str:
        return str(self.golden["query"])

    @property
    def limit(self) -> float:
        """Seconds that an answer may take."""
        return float(self.golden.get("limit", 5))

    @property
    def good(self) -> Reply:
        """The first answer, which holds a number."""
        return Reply(body=self.golden["answers"][0]["body"].encode())

    def secret(self, server: str) -> dict[str, str]:
        """The Secret's values; the account of Google gets its tokens from `server`."""
        key = {"serviceAccountKey": service_account(server)} if self.type == "stackdriver" else {}
        return {**self.golden["secret"], **key}

    def spec(self, server: str, **changes: Any) -> ProviderSpec:
        """The settings with which the golden requests are made, at `server`."""
        address = server + self.golden.get("address", "")
        settings = {"secret_ref": SecretRef(name="s"), **self.golden["provider"], **changes}
        return ProviderSpec(type=self.type, address=address, **settings)

    def provider(self, tools: Tools, server: str, **changes: Any) -> MetricProvider:
        """The provider at `server`."""
        return provider_for(self.spec(server, **changes), self.secret(server), tools)


def answering(reply: Reply) -> Script:
    """A script that answers everything with `reply`, but gives out tokens as Google does."""
    token = json.dumps({"access_token": "ya29.fake", "expires_in": 3600, "token_type": "Bearer"}).encode()

    def answer(request: Received) -> Reply:
        return Reply(body=token) if request.path == TOKEN else reply

    return answer


@cache
def _key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def service_account(server: str) -> str:
    """The key of a service account that gets its tokens from `server`."""
    account = {
        "type": "service_account",
        "client_email": "flagger@shop-prod.iam.gserviceaccount.com",
        "private_key_id": "1",
        "private_key": _key(),
        "token_uri": server + TOKEN,
    }
    return json.dumps(account)


def contracts() -> list[Contract]:
    """All golden files, by name."""
    return [
        Contract(MetricProviderType(path.stem), yaml.safe_load(path.read_text(encoding="utf-8")))
        for path in sorted(FOLDER.glob("*.yaml"))
    ]
