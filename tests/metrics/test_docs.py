"""The examples in docs/metrics.md are MetricTemplates that work."""

import base64
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from flagger.api.metric_template import MetricProviderType, MetricTemplate
from flagger.api.validate import validate_metric_template
from flagger.metrics.base import Tools
from flagger.metrics.sources import decoded
from flagger.metrics.table import provider_for
from flagger.metrics.templating import render
from tests.metrics.canaries import a_canary

TEXT = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
EXAMPLES = [
    yaml.safe_load(block)
    for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    if "kind: MetricTemplate" in block
]
KEYS = {
    "prometheus": ["token"],
    "datadog": ["datadog_api_key", "datadog_application_key"],
    "newrelic": ["newrelic_account_id", "newrelic_query_key"],
    "graphite": ["username", "password"],
    "influxdb": ["token", "org"],
    "dynatrace": ["dynatrace_token"],
    "stackdriver": ["project"],
    "splunk": ["sf_token_key"],
}


def test_every_provider_has_an_example() -> None:
    """One for each type, under a heading of its name."""
    types = [example["spec"]["provider"]["type"] for example in EXAMPLES]
    assert sorted(types) == sorted(MetricProviderType)
    assert re.findall(r"^### (\w+)$", TEXT, re.MULTILINE) == types


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["spec"]["provider"]["type"])
def test_examples(example: dict[str, Any], tools: Tools) -> None:
    """Nothing is wrong with it, a provider is made of it, and the query can be rendered; the keys are named."""
    template = MetricTemplate.parse(example)
    assert validate_metric_template(template) == []
    keys = KEYS.get(template.spec.provider.type, [])
    encoded = {key: base64.b64encode(b"x\n").decode() for key in keys}
    assert provider_for(template.spec.provider, decoded({"data": encoded}), tools)
    assert "{{" not in render(template.spec.query, a_canary().query_model("1m", {"path": "/pay"}))
    section = TEXT.split(f"### {template.spec.provider.type}\n")[1].split("\n### ")[0]
    assert not [key for key in keys if key not in section]
