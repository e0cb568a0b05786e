"""Builders of what users write; every run is quick: an interval of a second, two steps."""

from typing import Any

from flagger.kube.objects import Object

IMAGE = "ghcr.io/stefanprodan/podinfo"
INTERVAL = "1s"
SUCCESS_RATE = {"name": "request-success-rate", "interval": "5s", "thresholdRange": {"min": 99}}
DURATION = {"name": "request-duration", "interval": "5s", "thresholdRange": {"max": 500}}


def a_deployment(name: str, *, tag: str = "1.0.0", replicas: int = 1, delay: int = 0, **env: str) -> Object:
    """podinfo; `delay` is the time in seconds before a pod is asked for the first time whether it is ready."""
    labels = {"app": name}
    probe = {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 1, "initialDelaySeconds": delay}
    container = {
        "name": "podinfo",
        "image": f"{IMAGE}:{tag}",
        "ports": [{"name": "http", "containerPort": 9898}],
        "env": [{"name": key, "value": value} for key, value in env.items()],
        "readinessProbe": probe,
    }
    annotations = {"prometheus.io/scrape": "true", "prometheus.io/port": "9898"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": annotations},
                "spec": {"containers": [container]},
            },
        },
    }


def a_canary(name: str, *, spec: dict[str, Any] | None = None, **analysis: Any) -> Object:
    """A weighted canary behind the Gateway `public`; no metrics unless a test gives some."""
    given = {"interval": INTERVAL, "threshold": 3, "stepWeights": [20, 50], **analysis}
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": name},
        "spec": {
            "provider": "gatewayapi:v1",
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "progressDeadlineSeconds": 60,
            "service": {"port": 9898, "hosts": [f"{name}.example"], "gatewayRefs": [{"name": "public"}]},
            "analysis": {key: value for key, value in given.items() if value is not None},
            **(spec or {}),
        },
    }


def a_gateway(name: str = "public", port: int = 8080) -> Object:
    """Where users enter."""
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": name},
        "spec": {
            "gatewayClassName": "sandbox",
            "listeners": [
                {
                    "name": "http",
                    "port": port,
                    "protocol": "HTTP",
                    "allowedRoutes": {"namespaces": {"from": "All"}},
                }
            ],
        },
    }


def a_hook(name: str, kind: str, url: str, **changes: Any) -> dict[str, Any]:
    """A webhook that answers within a second or counts as a refusal."""
    return {"name": name, "type": kind, "url": url, "timeout": "1s", **changes}
