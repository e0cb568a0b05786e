"""Valid objects; a test changes only what it is about."""

import copy
from collections.abc import Mapping
from typing import Any

from flagger.api.canary import Canary

Object = dict[str, Any]

WEIGHTED: Object = {
    "apiVersion": "flagger.app/v1beta1",
    "kind": "Canary",
    "metadata": {"name": "checkout", "namespace": "shop"},
    "spec": {
        "provider": "istio",
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout"},
        "autoscalerRef": {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "name": "checkout",
            "primaryScalerReplicas": {"minReplicas": 2, "maxReplicas": 6},
        },
        "progressDeadlineSeconds": 240,
        "service": {
            "port": 80,
            "targetPort": "http",
            "portDiscovery": True,
            "gateways": ["edge/public", "mesh"],
            "hosts": ["checkout.example.net"],
            "apex": {"annotations": {"owner": "payments"}},
            "retries": {"attempts": 2, "perTryTimeout": "1s", "retryOn": "gateway-error"},
            "corsPolicy": {"allowOrigins": [{"exact": "https://example.net"}], "maxAge": "24h"},
            "match": [{"uri": {"prefix": "/"}, "withoutHeaders": {"x-internal": {}}}],
            "trafficPolicy": {
                "connectionPool": {"http": {"h2UpgradePolicy": "UPGRADE", "maxRetries": 3}},
                "loadBalancer": {
                    "consistentHash": {"httpCookie": {"name": "shop", "ttl": "0s"}},
                    "localityLbSetting": {"distribute": [{"from": "eu/*", "to": {"eu/*": 100}}]},
                },
                "outlierDetection": {"consecutive5xxErrors": 5, "baseEjectionTime": "30s"},
                "tls": {"mode": "ISTIO_MUTUAL"},
            },
        },
        "analysis": {
            "interval": "30s",
            "threshold": 4,
            "stepWeights": [5, 25, 60],
            "stepWeightPromotion": 50,
            "canaryReadyThreshold": 80,
            "metrics": [
                {"name": "request-success-rate", "interval": "1m", "thresholdRange": {"min": 99.5}},
                {
                    "name": "lost-baskets",
                    "interval": "2m",
                    "templateRef": {"name": "lost-baskets", "namespace": "observability"},
                    "templateVariables": {"tier": "gold"},
                    "thresholdRange": {"max": 1},
                },
            ],
            "webhooks": [
                {
                    "name": "board",
                    "type": "confirm-rollout",
                    "url": "http://gate.shop/open",
                    "muteAlert": True,
                },
                {"name": "smoke", "type": "pre-rollout", "url": "http://tester.shop/", "timeout": "2m"},
                {
                    "name": "load",
                    "url": "http://tester.shop/",
                    "metadata": {"cmd": "hey"},
                    "disableTLS": True,
                },
            ],
            "alerts": [{"name": "oncall", "severity": "error", "providerRef": {"name": "oncall"}}],
            "sessionAffinity": {"cookieName": "shop-canary", "sameSite": "Lax"},
        },
    },
}

BLUE_GREEN: Object = {
    "apiVersion": "flagger.app/v1beta1",
    "kind": "Canary",
    "metadata": {"name": "invoices", "namespace": "shop"},
    "spec": {
        "provider": "kubernetes",
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "invoices"},
        "service": {"port": 8080},
        "analysis": {"interval": "15s", "threshold": 2, "iterations": 5},
    },
}

AB: Object = {
    "apiVersion": "flagger.app/v1beta1",
    "kind": "Canary",
    "metadata": {"name": "search", "namespace": "shop"},
    "spec": {
        "provider": "gatewayapi:v1",
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "search"},
        "service": {
            "port": 8080,
            "timeout": "10s",
            "backendTimeout": "3s",
            "gatewayRefs": [{"name": "public", "namespace": "gateways"}],
            "mirror": [{"backendRef": {"name": "recorder", "port": 80}}],
        },
        "analysis": {
            "interval": "1m",
            "threshold": 3,
            "iterations": 10,
            "match": [{"headers": {"x-beta": {"exact": "on"}}}],
        },
    },
}

METRIC_TEMPLATE: Object = {
    "apiVersion": "flagger.app/v1beta1",
    "kind": "MetricTemplate",
    "metadata": {"name": "lost-baskets", "namespace": "observability"},
    "spec": {
        "provider": {
            "type": "prometheus",
            "address": "http://prometheus.observability:9090",
            "headers": {"X-Scope-OrgID": ["shop", "mall"]},
        },
        "query": 'sum(rate(lost{ns="{{ namespace }}",app="{{ target }}"}[{{ interval }}]))',
    },
}

ALERT_PROVIDER: Object = {
    "apiVersion": "flagger.app/v1beta1",
    "kind": "AlertProvider",
    "metadata": {"name": "oncall", "namespace": "shop"},
    "spec": {"type": "slack", "channel": "oncall", "secretRef": {"name": "oncall-hook"}},
}


class Gone:
    """Stands for a field that is taken away; prints alike in every process."""

    def __repr__(self) -> str:
        return "gone"


GONE = Gone()
"""As a change: remove the field."""


def changed(base: Object, changes: Mapping[str, Any]) -> Object:
    """Return a copy in which dotted paths such as `spec.analysis.metrics.0.name` have other values."""
    result = copy.deepcopy(base)
    for path, value in changes.items():
        *parents, last = path.split(".")
        place: Any = result
        for step in parents:
            place = place[int(step)] if isinstance(place, list) else place.setdefault(step, {})
        if value is GONE:
            del place[last]
        elif isinstance(place, list):
            place[int(last)] = value
        else:
            place[last] = value
    return result


def a_canary(base: Object = WEIGHTED, **changes: Any) -> Canary:
    """Return a valid Canary; `spec__analysis__interval="5s"` changes the field of that path."""
    return Canary.parse(changed(base, {path.replace("__", "."): value for path, value in changes.items()}))
