"""What can be wrong with the provider and the objects a Canary refers to."""

from collections.abc import Iterator, Mapping

from flagger.api.canary import PROVIDERS
from flagger.api.findings import Case, Findings, error
from flagger.api.references import CrossNamespaceRef, UpstreamRef

TARGET_KINDS = ("Deployment", "DaemonSet", "Service")
SCALER_KINDS = ("HorizontalPodAutoscaler", "ScaledObject")
_VARIANTS = ("smi:v1alpha1:", "smi:v1alpha2:", "smi:v1alpha3:", "gloo:")


def is_known_provider(provider: str) -> bool:
    """Say whether the text names a provider; the operator's flag may add a mesh to `smi:…`."""
    return provider in PROVIDERS or provider.startswith(_VARIANTS)


def known_provider(case: Case) -> Findings:
    """Refuse a provider nobody knows: guessing one would move traffic in the wrong place."""
    if not is_known_provider(case.provider):
        problem = f"{case.provider!r} is no known provider"
        yield error("spec.provider", problem, f"use one of {', '.join(PROVIDERS)}")


def known_target(case: Case) -> Findings:
    """Refuse a target of a kind nobody can handle, or without a name."""
    target = case.canary.spec.target_ref
    if target.kind not in TARGET_KINDS:
        yield error("spec.targetRef.kind", f"{target.kind!r} cannot be released", _one_of(TARGET_KINDS))
    if not target.name:
        yield error("spec.targetRef.name", "is empty", "name the workload to release")


def usable_scaler(case: Case) -> Findings:
    """Refuse an unknown kind of scaler, and any scaler beside a Knative Service, which scales itself."""
    spec, scaler = case.canary.spec, case.canary.spec.autoscaler_ref
    if scaler is None:
        return
    if spec.target_ref.is_knative:
        yield error("spec.autoscalerRef", "a Knative Service scales itself", "remove the field")
    if scaler.kind not in SCALER_KINDS:
        yield error("spec.autoscalerRef.kind", f"{scaler.kind!r} is no known scaler", _one_of(SCALER_KINDS))
    replicas = scaler.primary_scaler_replicas
    if replicas and (replicas.min_replicas or 1) > (replicas.max_replicas or replicas.min_replicas or 1):
        yield error(
            "spec.autoscalerRef.primaryScalerReplicas.minReplicas",
            f"{replicas.min_replicas} is more than maxReplicas {replicas.max_replicas}",
            "lower minReplicas or raise maxReplicas",
        )


def knative_pair(case: Case) -> Findings:
    """Refuse a Knative target without `provider: knative`, and the other way round."""
    spec = case.canary.spec
    if spec.target_ref.is_knative and spec.provider != "knative":
        problem = f"{case.provider!r} cannot route to a Knative Service"
        yield error("spec.provider", problem, "set provider to knative on the Canary itself")
    if spec.provider == "knative" and not spec.target_ref.is_knative:
        yield error(
            "spec.targetRef",
            f"provider knative cannot route to {spec.target_ref.api_version} {spec.target_ref.kind}",
            "refer to a Service of serving.knative.dev/v1, or choose another provider",
        )


def same_namespace(case: Case) -> Findings:
    """Refuse references into other namespaces where the operator forbids them."""
    own = case.canary.namespace
    for path, ref in _references(case) if not case.cross_namespace else ():
        if ref.namespace not in {"", own}:
            yield error(
                f"{path}.namespace",
                f"refers to namespace {ref.namespace!r}, and cross-namespace references are blocked",
                f"move the object to {own!r}",
            )


def _references(case: Case) -> Iterator[tuple[str, CrossNamespaceRef | UpstreamRef]]:
    spec = case.canary.spec
    if spec.upstream_ref is not None:
        yield "spec.upstreamRef", spec.upstream_ref
    for index, metric in enumerate(spec.analysis.metrics):
        if metric.template_ref is not None:
            yield f"spec.analysis.metrics[{index}].templateRef", metric.template_ref
    for index, alert in enumerate(spec.analysis.alerts):
        yield f"spec.analysis.alerts[{index}].providerRef", alert.provider_ref


def provider_needs(case: Case) -> Findings:
    """Refuse a Canary without the object that its provider starts from."""
    spec = case.canary.spec
    present: Mapping[str, object] = {
        "spec.ingressRef": spec.ingress_ref and spec.ingress_ref.name,
        "spec.routeRef": spec.route_ref and spec.route_ref.name,
        "spec.service.gatewayRefs": spec.service.gateway_refs,
        "spec.service.meshName": spec.service.mesh_name,
    }
    for provider, field, fix in _NEEDS:
        if case.provider == provider and not present[field]:
            yield error(field, f"is missing, and provider {provider} needs it", fix)


_NEEDS = (
    ("nginx", "spec.ingressRef", "name the Ingress that routes to the apex Service"),
    ("skipper", "spec.ingressRef", "name the Ingress that routes to the apex Service"),
    ("apisix", "spec.routeRef", "name the ApisixRoute that leads to the apex Service"),
    ("gatewayapi:v1", "spec.service.gatewayRefs", "name at least one Gateway"),
    ("gatewayapi:v1beta1", "spec.service.gatewayRefs", "name at least one Gateway"),
    ("appmesh", "spec.service.meshName", "name the mesh"),
)


def _one_of(names: tuple[str, ...]) -> str:
    return f"use {', '.join(names[:-1])} or {names[-1]}"
