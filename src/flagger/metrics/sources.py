"""Where a metric's number comes from: the metrics server, or a MetricTemplate with its Secret."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field

from flagger.api.analysis import Metric
from flagger.api.canary import Canary
from flagger.api.errors import FieldError
from flagger.api.metric_template import MetricTemplate
from flagger.api.names import GROUP, VERSION
from flagger.api.references import CrossNamespaceRef
from flagger.kube.cluster import Cluster
from flagger.kube.errors import KubeError
from flagger.kube.objects import SECRET, Kind, Object, resource_version_of, uid_of
from flagger.metrics.backend import check_address
from flagger.metrics.base import MetricProvider, Tools
from flagger.metrics.providers.prometheus import Prometheus
from flagger.metrics.table import provider_for
from flagger.metrics.templating import TemplateError, render

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
    """Finds providers and renders queries; reads MetricTemplates and Secrets from the caches.

    A provider is made once and kept until its template or Secret changes.
    """

    cluster: Cluster
    tools: Tools
    metrics_server: str
    """URL of the Prometheus for built-in metrics and inline queries."""
    made: dict[str, "_Made"] = field(default_factory=dict)
    """By address of a metrics server, or by `namespace/name` of a MetricTemplate."""

    def server(self, canary: Canary) -> MetricProvider:
        """Return the Prometheus that built-in metrics and inline queries of this Canary ask.

        Raises:
            SourceError: its address is no URL.
        """
        address = canary.spec.metrics_server or self.metrics_server
        try:
            check_address("spec.metricsServer", address, "metrics server")
        except FieldError as error:
            raise SourceError(f"Error building Prometheus client for {error.problem}; {error.fix}") from error
        if address not in self.made:
            self.made[address] = _Made((), Prometheus.at(address, self.tools))
        return self.made[address].provider

    async def template(self, canary: Canary, ref: CrossNamespaceRef) -> tuple[MetricTemplate, MetricProvider]:
        """Return a MetricTemplate and its provider.

        Raises:
            SourceError: the template, its Secret or its settings are missing or unusable.
        """
        namespace, name = canary.locate(ref)
        here = f"Metric template {name}.{namespace}"
        try:
            stored = await self._read(METRIC_TEMPLATE, namespace, name)
            template = MetricTemplate.parse(stored)
        except (KubeError, FieldError) as error:
            self.made.pop(f"{namespace}/{name}", None)
            raise SourceError(f"{here} error: {error}") from error
        versions = _version(stored)
        spec = template.spec.provider
        credentials: Mapping[str, str] = {}
        if spec.secret_ref is not None:
            try:
                secret = await self._read(SECRET, namespace, spec.secret_ref.name)
                credentials, versions = decoded(secret), versions + _version(secret)
            except (KubeError, FieldError) as error:
                raise SourceError(f"{here} secret {spec.secret_ref.name} error: {error}") from error
        try:
            return template, self._provider(template, credentials, versions)
        except FieldError as error:
            raise SourceError(f"{here} provider {spec.type} error: {error}") from error

    def _provider(
        self, template: MetricTemplate, credentials: Mapping[str, str], versions: tuple[str, ...]
    ) -> MetricProvider:
        made = self.made.get(template.key)
        if made is None or made.versions != versions:
            made = _Made(versions, provider_for(template.spec.provider, credentials, self.tools))
            self.made[template.key] = made
        return made.provider

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


@dataclass(frozen=True, slots=True)
class _Made:
    """A provider, and the versions of the objects that it was made from."""

    versions: tuple[str, ...]
    provider: MetricProvider


def _version(stored: Object) -> tuple[str, ...]:
    return uid_of(stored), resource_version_of(stored)


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
