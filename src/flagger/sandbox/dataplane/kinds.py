"""The kinds of the APIs that ask for routes, and the names this data plane goes by."""

from flagger.kube.objects import Kind

GATEWAY_GROUP = "gateway.networking.k8s.io"
GATEWAY_CLASS = Kind(GATEWAY_GROUP, "v1", "GatewayClass", "gatewayclasses", namespaced=False)
GATEWAY = Kind(GATEWAY_GROUP, "v1", "Gateway", "gateways")
HTTP_ROUTE = Kind(GATEWAY_GROUP, "v1", "HTTPRoute", "httproutes")
GRPC_ROUTE = Kind(GATEWAY_GROUP, "v1", "GRPCRoute", "grpcroutes")
REFERENCE_GRANT = Kind(GATEWAY_GROUP, "v1beta1", "ReferenceGrant", "referencegrants")

ISTIO_GATEWAY = Kind("networking.istio.io", "v1", "Gateway", "gateways")
VIRTUAL_SERVICE = Kind("networking.istio.io", "v1", "VirtualService", "virtualservices")
HTTP_PROXY = Kind("projectcontour.io", "v1", "HTTPProxy", "httpproxies")
GLOO_VIRTUAL_SERVICE = Kind("gateway.solo.io", "v1", "VirtualService", "virtualservices")
GLOO_ROUTE_TABLE = Kind("gateway.solo.io", "v1", "RouteTable", "routetables")
GLOO_UPSTREAM = Kind("gloo.solo.io", "v1", "Upstream", "upstreams")

TRAFFIC_SPLIT = Kind("split.smi-spec.io", "v1alpha3", "TrafficSplit", "trafficsplits")
HTTP_ROUTE_GROUP = Kind("specs.smi-spec.io", "v1alpha3", "HTTPRouteGroup", "httproutegroups")

APP_MESH_GROUP = "appmesh.k8s.aws"
VIRTUAL_NODE = Kind(APP_MESH_GROUP, "v1beta1", "VirtualNode", "virtualnodes")
VIRTUAL_ROUTER = Kind(APP_MESH_GROUP, "v1beta2", "VirtualRouter", "virtualrouters")
APP_MESH_SERVICE = Kind(APP_MESH_GROUP, "v1beta1", "VirtualService", "virtualservices")

TRAFFIC_ROUTE = Kind("kuma.io", "v1alpha1", "TrafficRoute", "trafficroutes", namespaced=False)

CONTROLLER = "sandbox.flagger.app/gateway"
"""The controllerName of our GatewayClass and of our entries in route statuses."""

NODE_NAME = "sandbox"
"""The one Node, which carries the data plane's addresses as annotations."""

PROXY_ANNOTATION = "sandbox.flagger.app/http-proxy"
METRICS_ANNOTATION = "sandbox.flagger.app/envoy-metrics"
PORT_OFFSET_ANNOTATION = "sandbox.flagger.app/port-offset"
PORTS_ANNOTATION = "sandbox.flagger.app/ports"
