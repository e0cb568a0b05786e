"""The Gateway API's kinds and the names this data plane goes by."""

from flagger.kube.objects import Kind

GATEWAY_GROUP = "gateway.networking.k8s.io"
GATEWAY_CLASS = Kind(GATEWAY_GROUP, "v1", "GatewayClass", "gatewayclasses", namespaced=False)
GATEWAY = Kind(GATEWAY_GROUP, "v1", "Gateway", "gateways")
HTTP_ROUTE = Kind(GATEWAY_GROUP, "v1", "HTTPRoute", "httproutes")
GRPC_ROUTE = Kind(GATEWAY_GROUP, "v1", "GRPCRoute", "grpcroutes")
REFERENCE_GRANT = Kind(GATEWAY_GROUP, "v1beta1", "ReferenceGrant", "referencegrants")

CONTROLLER = "sandbox.flagger.app/gateway"
"""The controllerName of our GatewayClass and of our entries in route statuses."""

NODE_NAME = "sandbox"
"""The one Node, which carries the data plane's addresses as annotations."""

PROXY_ANNOTATION = "sandbox.flagger.app/http-proxy"
METRICS_ANNOTATION = "sandbox.flagger.app/envoy-metrics"
PORT_OFFSET_ANNOTATION = "sandbox.flagger.app/port-offset"
PORTS_ANNOTATION = "sandbox.flagger.app/ports"
