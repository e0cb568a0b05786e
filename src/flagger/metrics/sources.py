"""Where a metric's number comes from: the metrics server, or a MetricTemplate with its Secret."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

from flagger.api.analysis import Metric
from flagger.api.canary import Canary
from flagger.api.errors import FieldError
from flagger.api.metric_template import MetricTemplate
from flagger.api.names import GROUP, VERSION
from flagger.api.references import CrossNamespaceRef
from flagger.kube.cluster import Cluster
from flagger.kube.errors import KubeError
from flagger.kube.objects import SECRET, Kind, Object
from flagger.metrics.base import Backend, MetricProvider, check_address
from flagger.metrics.providers.prometheus import Prometheus
from flagger.metrics.table import provider_for
from flagger.metrics.templating import TemplateError, render
from flagger.outbound import Outbound

METRIC_TEMPLATE = Kind(GROUP, VERSION, "MetricTemplate", "metrictemplates")
KNATIVE_SERVICE = Kind("serving.knative.dev", "v1", "Service", "services")


class SourceError(Exception):
    """A metric cannot be asked for; the text is the complete sentence for the Event."""


@dataclass(frozen=True, slots=True)
class Source:
    """A provider and the query that is to be asked of it."""

    provider: MetricProvider
    query: str


@dataclass(frozen=True, slots=True)
class Sources:
    """Finds providers and renders queries; reads MetricTemplates and Secrets from the caches."""

    cluster: Cluster
    outbound: Outbound
    metrics_server: str
    """URL of the Prometheus for built-in metrics and inline queries."""

    def server(self, canary: Canary) -> Prometheus:
        """Return the Prometheus that built-in metrics and inline queries of this Canary ask.

        Raises:
            SourceError: its address is no URL.
        """
        address = canary.spec.metrics_server or self.metrics_server
        try:
            check_address("spec.metricsServer", address, "metrics server")
        except FieldError as error:
            raise SourceError(f"Error building Prometheus client for {error.problem}; {error.fix}") from error
        return Prometheus(Backend(self.outbound, address))

    async def template(self, canary: Canary, ref: CrossNamespaceRef) -> tuple[MetricTemplate, MetricProvider]:
        """Return a MetricTemplate and its provider.

        Raises:
            SourceError: the template, its Secret or its settings are missing or unusable.
        """
        namespace, name = canary.locate(ref)
        here = f"Metric template {name}.{namespace}"
        try:
            template = MetricTemplate.parse(await self._read(METRIC_TEMPLATE, namespace, name))
        except (KubeError, FieldError) as error:
            raise SourceError(f"{here} error: {error}") from error
        spec = template.spec.provider
        credentials: Mapping[str, str] = {}
        if spec.secret_ref is not None:
            try:
                credentials = decoded(await self._read(SECRET, namespace, spec.secret_ref.name))
            except (KubeError, FieldError) as error:
                raise SourceError(f"{here} secret {spec.secret_ref.name} error: {error}") from error
        try:
            return template, provider_for(spec, credentials, self.outbound)
        except FieldError as error:
            raise SourceError(f"{here} provider {spec.type} error: {error}") from error

    async def templated(self, canary: Canary, metric: Metric, route: str) -> Source:
        """Return provider and rendered query of a metric that has a `templateRef`.

        Raises:
            SourceError: as `template`, or the query cannot be rendered.
        """
        ref = metric.template_ref
        if ref is None:
            raise ValueError(f"metric {metric.name} has no templateRef")
        template, provider = await self.template(canary, ref)
        try:
            model = canary.query_model(metric.window, metric.template_variables, route=route)
            return Source(provider, render(template.spec.query, model))
        except TemplateError as error:
            namespace, name = canary.locate(ref)
            raise SourceError(f"Metric template {name}.{namespace} query render error: {error}") from error

    async def route(self, canary: Canary) -> str:
        """Return the revision that queries about a Knative target name; empty for other targets.

        Raises:
            SourceError: the Knative Service cannot be read.
        """
        if not canary.spec.target_ref.is_knative:
            return ""
        try:
            service = await self._read(KNATIVE_SERVICE, canary.namespace, canary.target_name)
        except (KubeError, FieldError) as error:
            where = f"{canary.namespace}/{canary.target_name}"
            raise SourceError(f"Error fetching Knative service {where} {error}") from error
        return str((service.get("status") or {}).get("latestCreatedRevisionName", ""))

    async def _read(self, kind: Kind, namespace: str, name: str) -> Object:
        """Return an object from the cache.

        Raises:
            FieldError: there is none.
            KubeError: the kind cannot be read.
        """
        found = await self.cluster.get(kind, namespace, name)
        if found is None:
            raise FieldError("", f"{kind.kind} {namespace}/{name} not found", "create it or correct the name")
        return found


def decoded(secret: Object) -> dict[str, str]:
    """Return the values of a Secret as text, without the line breaks that editors leave at the end.

    Raises:
        FieldError: a value is not base64.
    """
    try:
        data = {
            key: base64.b64decode(value, validate=True) for key, value in (secret.get("data") or {}).items()
        }
    except (binascii.Error, TypeError, ValueError) as error:
        raise FieldError("data", "a value is not base64", "encode it") from error
    return {key: value.decode(errors="replace").rstrip("\r\n") for key, value in data.items()}
