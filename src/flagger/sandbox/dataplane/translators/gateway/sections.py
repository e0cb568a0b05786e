"""The listeners of a Gateway ("sections", to tell them from Envoy's): what each serves, or why not."""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass, replace

from flagger.kube.objects import NAMESPACE, SECRET, Object, labels_of, namespace_of
from flagger.sandbox.dataplane.kinds import GATEWAY
from flagger.sandbox.dataplane.routes import Certificate
from flagger.sandbox.dataplane.selectors import selects
from flagger.sandbox.dataplane.snapshot import Snapshot
from flagger.sandbox.dataplane.translators.gateway.backends import CORE_GROUPS, RefProblem, Scope, is_granted
from flagger.sandbox.dataplane.translators.gateway.hostnames import ANY

HTTP, HTTPS = "HTTP", "HTTPS"
TLS_SECRET = "kubernetes.io/tls"
MATCHING_KINDS = {"HTTPRoute", "GRPCRoute"}


@dataclass(frozen=True, slots=True)
class Section:
    """One entry of a Gateway's `spec.listeners`."""

    spec: Object
    name: str
    port: int
    protocol: str
    hostname: str = ANY
    certificates: tuple[Certificate, ...] = ()
    refused: RefProblem | None = None  # why it is not served at all
    conflict: RefProblem | None = None  # with a section before it
    unresolved: RefProblem | None = None  # a certificate that is not there

    @property
    def serves(self) -> bool:
        """Does it take requests?"""
        return self.refused is None and self.conflict is None and self.unresolved is None


def sections_of(gateway: Object, seen: Snapshot) -> tuple[Section, ...]:
    """A Gateway's sections, in order; of two that cannot be told apart the second one is in conflict."""
    found: list[Section] = []
    for spec in gateway["spec"]["listeners"]:
        section = _section(spec, gateway, seen)
        found.append(replace(section, conflict=next(_conflicts(section, found), None)))
    return tuple(found)


def _section(spec: Object, gateway: Object, seen: Snapshot) -> Section:
    section = Section(spec, spec["name"], spec["port"], spec["protocol"], spec.get("hostname") or ANY)
    if section.protocol == HTTP:
        return section
    if section.protocol != HTTPS:
        text = f"the sandbox serves HTTP and HTTPS, not {section.protocol}"
        return replace(section, refused=RefProblem("UnsupportedProtocol", text))
    found = _certificate(section, Scope(seen, GATEWAY, gateway))
    if isinstance(found, RefProblem):
        return replace(section, unresolved=found)
    return replace(section, certificates=(found,))


def _conflicts(section: Section, earlier: list[Section]) -> Iterator[RefProblem]:
    for other in earlier:
        if other.port == section.port and other.protocol != section.protocol:
            yield RefProblem(
                "ProtocolConflict", f"listener {other.name} has port {other.port} for {other.protocol}"
            )
        elif other.port == section.port and other.hostname == section.hostname:
            yield RefProblem("HostnameConflict", f"listener {other.name} has this port and hostname")


def _certificate(section: Section, scope: Scope) -> Certificate | RefProblem:
    """The TLS identity that a section names; messages never show what is in a Secret."""
    refs = (section.spec.get("tls") or {}).get("certificateRefs") or []
    if not refs:
        return RefProblem("InvalidCertificateRef", "tls.certificateRefs names no Secret")
    ref = refs[0]
    name, home = ref["name"], namespace_of(scope.route)
    namespace = ref.get("namespace") or home
    if ref.get("group", "") not in CORE_GROUPS or ref.get("kind", "Secret") != "Secret":
        return RefProblem("InvalidCertificateRef", f"{name} is not a Secret")
    if namespace != home and not is_granted(scope, "Secret", namespace, name):
        return RefProblem(
            "RefNotPermitted", f"no ReferenceGrant in {namespace} permits Secret {namespace}/{name}"
        )
    secret = scope.seen.get(SECRET, namespace, name)
    if secret is None or secret.get("type") != TLS_SECRET:
        return RefProblem(
            "InvalidCertificateRef", f"there is no Secret {namespace}/{name} of type {TLS_SECRET}"
        )
    try:
        chain, key = (_text(secret, entry) for entry in ("tls.crt", "tls.key"))
    except (KeyError, ValueError):
        return RefProblem(
            "InvalidCertificateRef", f"Secret {namespace}/{name} has no usable tls.crt and tls.key"
        )
    return Certificate((section.hostname,) if section.hostname else (), chain, key)


def _text(secret: Object, entry: str) -> str:
    try:
        return base64.b64decode(secret["data"][entry], validate=True).decode()
    except binascii.Error as error:
        raise ValueError(entry) from error


def admits(section: Section, gateway: Object, scope: Scope) -> bool:
    """May routes of this kind from this namespace attach to the section?"""
    allowed = section.spec.get("allowedRoutes") or {}
    kinds = {entry["kind"] for entry in allowed.get("kinds") or []} or MATCHING_KINDS
    return scope.kind.kind in kinds and _admits_namespace(allowed.get("namespaces") or {}, gateway, scope)


def _admits_namespace(rule: Object, gateway: Object, scope: Scope) -> bool:
    namespace = namespace_of(scope.route)
    match rule.get("from", "Same"):
        case "All":
            return True
        case "Selector":
            own = scope.seen.get(NAMESPACE, "", namespace)
            return own is not None and selects(rule.get("selector") or {}, labels_of(own))
        case "Same":
            return namespace == namespace_of(gateway)
        case _:
            return False
