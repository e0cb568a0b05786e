"""Has the target changed? Compares hashes; what is hashed is the workload's business."""

from __future__ import annotations

from collections.abc import Mapping

from flagger.api.status import CanaryStatus


def target_changed(status: CanaryStatus, revision: str) -> bool:
    """Whether an idle Canary has something new to release.

    Going back to the promoted revision is never a release: the primary runs it already.
    """
    if not status.last_applied_spec:
        return True
    return revision not in (status.last_promoted_spec, status.last_applied_spec)


def configs_changed(status: CanaryStatus, configs: Mapping[str, str] | None) -> bool:
    """Whether a ConfigMap or Secret of the target differs from what was recorded.

    `configs` is None when nothing is tracked.
    """
    if configs is None:
        return False
    if status.tracked_configs is None:
        return bool(configs)
    return dict(configs) != dict(status.tracked_configs)
