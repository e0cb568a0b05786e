"""Kuma: one cluster-wide route for each release."""

from tests.e2e.providers.setting import BLUE_GREEN, CANARY, Setting

KUMA = Setting(provider="kuma", strategies=(CANARY, BLUE_GREEN), spec=lambda _: {})
