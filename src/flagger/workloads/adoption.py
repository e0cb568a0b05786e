"""Whether a primary that another operator made is a copy of the target as it is now. Pure."""

from __future__ import annotations

from dataclasses import replace

from flagger.kube.objects import Object
from flagger.workloads.primary import Draft, primary_template, scheduling_selectors
from flagger.workloads.references import references_of
from flagger.workloads.revision import hash_of


def is_copy(draft: Draft, primary: Object) -> bool:
    """Whether the primary's pods are those that a promotion of `draft.target` would bring.

    What is generated makes no difference: identities, labels and selectors of the primary, references to copies
    of configs, annotations that somebody added to the primary.
    """
    target = draft.target
    configs = [reference.key for reference in references_of(target["spec"]["template"])]
    plain = replace(draft, identity="", tracked=configs)
    wanted = primary_template(plain)
    spec = {**target["spec"], "template": primary["spec"]["template"]}
    found = primary_template(replace(plain, target={**target, "spec": spec}))
    known, notes = wanted["metadata"]["annotations"], found["metadata"]["annotations"]
    found["metadata"]["annotations"] = {key: value for key, value in notes.items() if key in known}
    for template in (wanted, found):
        _rename_back(template, {draft.canary.target_name, draft.selector.value})
    return hash_of(wanted) == hash_of(found)


def _rename_back(template: Object, names: set[str]) -> None:
    """Which of several names of the target is rehung to the primary is a matter of the operator's version."""
    known = {f"{name}-primary": name for name in names}
    for selector in scheduling_selectors(template.get("spec") or {}):
        labels = selector.get("matchLabels") or {}
        labels.update({key: known.get(value, value) for key, value in labels.items()})
        for expression in selector.get("matchExpressions") or ():
            expression["values"] = [known.get(value, value) for value in expression.get("values") or ()]
