"""Plain Services: no split, so only blue/green."""

from tests.e2e.providers.setting import BLUE_GREEN, Setting

KUBERNETES = Setting(provider="kubernetes", strategies=(BLUE_GREEN,), spec=lambda _: {}, switches=False)
