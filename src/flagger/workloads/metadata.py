"""Which labels and annotations of a target go to its primary, and the label that tells their pods apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flagger.api.names import GITOPS_KEY_PART, LAST_APPLIED, PRIMARY_ID
from flagger.kube.objects import Object, key_of
from flagger.rollout.state import Selector
from flagger.workloads.base import TargetError

_ROLLOUT_REVISION = "deployment.kubernetes.io/revision"


def find_selector(target: Object, candidates: Sequence[str]) -> Selector:
    """The first candidate label that the target selects its pods by.

    Raises:
        TargetError: none of them is in `spec.selector.matchLabels`.
    """
    wanted = target["spec"].get("selector", {}).get("matchLabels") or {}
    for label in candidates:
        if label in wanted:
            return Selector(label, wanted[label])
    namespace, _, name = key_of(target).partition("/")
    kind = str(target.get("kind", "deployment")).lower()
    raise TargetError(
        f"{kind} {name}.{namespace} spec.selector.matchLabels must contain one of [{' '.join(candidates)}]"
    )


def is_foreign(key: str) -> bool:
    """Whether a key belongs to a GitOps tool, which must not find it on our copies."""
    return GITOPS_KEY_PART in key


def stripped(source: Mapping[str, str]) -> dict[str, str]:
    """All entries but those of GitOps tools and those that describe the original object alone."""
    own = {LAST_APPLIED, _ROLLOUT_REVISION}
    return {key: value for key, value in source.items() if not is_foreign(key) and key not in own}


def with_prefix(source: Mapping[str, str], prefixes: Sequence[str]) -> dict[str, str]:
    """The entries whose key starts with one of the prefixes; `*` stands for every key."""
    every = "*" in prefixes
    return {
        key: value
        for key, value in stripped(source).items()
        if every or any(prefix and key.startswith(prefix) for prefix in prefixes)
    }


def pod_labels(source: Mapping[str, str], selector: Selector) -> dict[str, str]:
    """The labels of the primary's pods."""
    return {**stripped(source), selector.label: selector.primary}


def pod_annotations(source: Mapping[str, str], identity: str) -> dict[str, str]:
    """The annotations of the primary's pods; a fresh `identity` makes them roll."""
    return {**stripped(source), PRIMARY_ID: identity}
