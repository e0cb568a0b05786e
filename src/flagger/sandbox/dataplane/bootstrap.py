"""Envoy's own configuration: what it starts with, before any object is known. Pure."""

from typing import Any

from flagger.sandbox.dataplane.admin import LISTENERS_DUMP
from flagger.sandbox.dataplane.emit import (
    DISCOVERY,
    DISCOVERY_CLUSTER,
    HTTP_MANAGER,
    LIMIT,
    TYPE,
    http_filter,
    router,
    socket_address,
)
from flagger.sandbox.dataplane.routes import MISSING_CLUSTER

Json = dict[str, Any]
HEAP = 1_073_741_824  # bytes; far above what a demo needs, far below what hurts
CONNECTIONS = 50_000
ADMIN_PATHS = (
    {"exact": "/ready"},
    {"exact": LISTENERS_DUMP},
    {"prefix": "/stats"},
    {"prefix": "/clusters"},
    {"prefix": "/listeners"},
)
"""What the admin port answers. Any local process can ask, so it neither changes Envoy nor tells its session."""

STATS = (
    "cluster_manager.",
    "listener_manager.",
    "server.live",
    "server.memory_",
    "server.total_connections",
    "http.",
)
CLUSTER_STATS = r"^cluster\..*\.(upstream_rq.*|upstream_cx_active|upstream_cx_total|membership_.*)$"


def bootstrap(session: str, discovery_port: int) -> Json:
    """The bootstrap for an Envoy that calls itself `session`, with an admin port of the kernel's choice."""
    return {
        "node": {"id": session, "cluster": "sandbox"},
        "admin": {
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
            "allow_paths": list(ADMIN_PATHS),
        },
        "dynamic_resources": {"cds_config": DISCOVERY, "lds_config": DISCOVERY},
        "static_resources": {
            "listeners": [missing_listener()],
            "clusters": [discovery_cluster(discovery_port)],
        },
        "bootstrap_extensions": [internal_listeners()],
        "stats_flush_interval": "1s",  # histograms are as old as this, and a sandbox is scraped often
        "stats_config": {
            "stats_matcher": {
                "inclusion_list": {
                    "patterns": [{"prefix": prefix} for prefix in STATS]
                    + [{"safe_regex": {"regex": CLUSTER_STATS}}]
                }
            }
        },
        "overload_manager": overload_manager(),
    }


def discovery_cluster(port: int) -> Json:
    """Where resources come from; every subscription keeps a connection."""
    end = {"endpoint": {"address": socket_address("127.0.0.1", port)}}
    return {
        "name": DISCOVERY_CLUSTER,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": DISCOVERY_CLUSTER, "endpoints": [{"lb_endpoints": [end]}]},
        "circuit_breakers": {"thresholds": [{"max_connections": LIMIT, "max_requests": LIMIT}]},
    }


def missing_listener() -> Json:
    """The internal listener that answers 500 for a backend that is not there."""
    routes = {
        "virtual_hosts": [
            {
                "name": "all",
                "domains": ["*"],
                "routes": [
                    {
                        "match": {"prefix": "/"},
                        "direct_response": {
                            "status": 500,
                            "body": {
                                "inline_string": "sandbox: the route names a backend that does not exist\n"
                            },
                        },
                    }
                ],
            }
        ]
    }
    manager = {
        "@type": HTTP_MANAGER,
        "stat_prefix": MISSING_CLUSTER,
        "route_config": routes,
        "http_filters": [http_filter("cors", "Cors"), router()],
        "server_header_transformation": "PASS_THROUGH",
    }
    return {
        "name": MISSING_CLUSTER,
        "internal_listener": {},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }


def internal_listeners() -> Json:
    """The extension that lets a cluster lead to a listener of the same Envoy."""
    kind = f"{TYPE}.extensions.bootstrap.internal_listener.v3.InternalListener"
    return {"name": "envoy.bootstrap.internal_listener", "typed_config": {"@type": kind}}


def overload_manager() -> Json:
    """Limits on memory and connections: Envoy sheds load rather than the machine."""
    monitors = f"{TYPE}.extensions.resource_monitors"
    heap = {"@type": f"{monitors}.fixed_heap.v3.FixedHeapConfig", "max_heap_size_bytes": HEAP}
    connections = {
        "@type": f"{monitors}.downstream_connections.v3.DownstreamConnectionsConfig",
        "max_active_downstream_connections": CONNECTIONS,
    }
    heap_name = "envoy.resource_monitors.fixed_heap"
    return {
        "refresh_interval": "1s",
        "resource_monitors": [
            {"name": heap_name, "typed_config": heap},
            {
                "name": "envoy.resource_monitors.global_downstream_max_connections",
                "typed_config": connections,
            },
        ],
        "actions": [
            {
                "name": f"envoy.overload_actions.{action}",
                "triggers": [{"name": heap_name, "threshold": {"value": threshold}}],
            }
            for action, threshold in (("shrink_heap", 0.8), ("stop_accepting_requests", 0.98))
        ],
    }
