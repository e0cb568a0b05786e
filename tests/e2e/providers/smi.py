"""SMI: Linkerd, OSM and others that divide traffic by TrafficSplits."""

from tests.e2e.providers.setting import BLUE_GREEN, CANARY, Setting

SMI = [
    Setting(provider=provider, strategies=(CANARY, BLUE_GREEN), spec=lambda _: {})
    for provider in ("linkerd", "osm", "smi:v1alpha1", "smi:v1alpha2", "smi:v1alpha3")
]
