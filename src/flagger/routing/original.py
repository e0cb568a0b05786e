"""How objects looked that were there before a Canary: noted when they are taken over, given back at its end. Pure."""

from __future__ import annotations

import json

from flagger.api.canary import Canary
from flagger.api.names import GITOPS_IGNORE, LAST_APPLIED, ORIGINAL_CONFIGURATION
from flagger.kube.objects import Object, annotations_of


def is_ours(live: Object, canary: Canary) -> bool:
    """Whether an object was made for this Canary."""
    references = live["metadata"].get("ownerReferences") or ()
    return any(
        reference.get("controller") and reference["kind"] == "Canary" and reference["name"] == canary.name
        for reference in references
    )


def note_of(live: Object) -> dict[str, str]:
    """The annotation that keeps the spec of an object that is about to be taken over.

    Nothing where kubectl has one of its own; what is noted already stays.
    """
    known = annotations_of(live)
    if LAST_APPLIED in known:
        return {}
    return {
        ORIGINAL_CONFIGURATION: known.get(ORIGINAL_CONFIGURATION) or json.dumps(live["spec"], sort_keys=True)
    }


def spec_before(live: Object) -> Object | None:
    """The spec of an object as it was before it was taken over; None where nobody noted it legibly."""
    known = annotations_of(live)
    applied, noted = _read(known.get(LAST_APPLIED)), _read(known.get(ORIGINAL_CONFIGURATION))
    spec = (applied or {}).get("spec") or noted
    return spec if isinstance(spec, dict) else None


def released(live: Object) -> Object:
    """The object without the annotations that were put on it; they would keep GitOps tools away for ever."""
    known = annotations_of(live)
    applied = annotations_of(_read(known.get(LAST_APPLIED)) or {})
    ours = {*GITOPS_IGNORE, ORIGINAL_CONFIGURATION} - applied.keys()
    kept = {key: value for key, value in known.items() if key not in ours}
    return {**live, "metadata": {**live["metadata"], "annotations": kept}} if kept != known else live


def _read(text: str | None) -> Object | None:
    try:
        found = json.loads(text or "null")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
