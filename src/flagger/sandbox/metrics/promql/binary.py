"""Binary operators: on scalars, between a vector and a scalar, and between matched vectors."""

from collections.abc import Callable, Mapping

from flagger.sandbox.metrics.labels import METRIC_NAME, Labels, as_text, changed, only, unnamed, without
from flagger.sandbox.metrics.promql.arithmetic import ARITHMETIC, COMPARISONS
from flagger.sandbox.metrics.promql.errors import ExecutionError
from flagger.sandbox.metrics.promql.plan import Binary, Cardinality, Matching
from flagger.sandbox.metrics.promql.values import Sample, Vector, distinct

Signature = Callable[[Labels], Labels]


def scalars(operator: str, left: float, right: float) -> float:
    """The result for two scalars; a comparison gives 0 or 1."""
    if operator in ARITHMETIC:
        return ARITHMETIC[operator](left, right)
    return float(COMPARISONS[operator](left, right))


def vector_and_scalar(node: Binary, vector: Vector, scalar: float, *, swapped: bool) -> Vector:
    """The result for each element; `swapped` when the scalar is the left operand."""
    result: Vector = []
    for labels, value in vector:
        left, right = (scalar, value) if swapped else (value, scalar)
        outcome = _outcome(node, left, right, kept=value)
        if outcome is not None:
            result.append((unnamed(labels) if _drops_name(node) else labels, outcome))
    return distinct(result) if _drops_name(node) else result


def vectors(node: Binary, left: Vector, right: Vector) -> Vector:
    """The result for elements whose matching labels agree.

    Raises:
        ExecutionError: several elements match where only one may.
    """
    signature = _signature_of(node.matching)
    if node.operator in SET_OPERATORS:
        return SET_OPERATORS[node.operator](left, right, signature)
    if not left or not right:
        return []
    if node.matching.cardinality is Cardinality.ONE_TO_MANY:
        return _match(node, right, left, signature)
    return _match(node, left, right, signature)


def _match(node: Binary, many: Vector, one: Vector, signature: Signature) -> Vector:
    swapped = node.matching.cardinality is Cardinality.ONE_TO_MANY
    partners = _unique(node.matching, one, signature)
    seen: set[tuple[Labels, Labels]] = set()
    result: Vector = []
    for labels, value in many:
        key = signature(labels)
        partner = partners.get(key)
        if partner is None:
            continue
        left, right = (partner[1], value) if swapped else (value, partner[1])
        outcome = _outcome(node, left, right, kept=left)
        if outcome is None:
            continue
        metric = _result_labels(node, labels, partner[0])
        _once(node.matching, seen, key, metric)
        result.append((metric, outcome))
    return distinct(result)


def _unique(matching: Matching, side: Vector, signature: Signature) -> dict[Labels, Sample]:
    partners: dict[Labels, Sample] = {}
    for sample in side:
        key = signature(sample[0])
        if key in partners:
            hand = "left" if matching.cardinality is Cardinality.ONE_TO_MANY else "right"
            raise ExecutionError(
                f"found duplicate series for the match group {as_text(key)} on the {hand} hand-side of the "
                f"operation: [{as_text(sample[0])}, {as_text(partners[key][0])}];"
                "many-to-many matching not allowed: matching labels must be unique on one side"
            )
        partners[key] = sample
    return partners


def _once(matching: Matching, seen: set[tuple[Labels, Labels]], key: Labels, metric: Labels) -> None:
    one_to_one = matching.cardinality is Cardinality.ONE_TO_ONE
    mark = (key, () if one_to_one else metric)
    if mark in seen:
        raise ExecutionError(
            "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
            if one_to_one
            else "multiple matches for labels: grouping labels must ensure unique matches"
        )
    seen.add(mark)


def _outcome(node: Binary, left: float, right: float, *, kept: float) -> float | None:
    """The value of one result element, or None if a comparison filters it out."""
    if node.operator in ARITHMETIC:
        return ARITHMETIC[node.operator](left, right)
    true = COMPARISONS[node.operator](left, right)
    if node.as_bool:
        return float(true)
    return kept if true else None


def _drops_name(node: Binary) -> bool:
    # atan2 came late and was forgotten there; Prometheus 2 keeps the name of its left operand.
    return node.as_bool or (node.operator in ARITHMETIC and node.operator != "atan2")


def _result_labels(node: Binary, many: Labels, one: Labels) -> Labels:
    matching = node.matching
    labels = unnamed(many) if _drops_name(node) else many
    if matching.cardinality is Cardinality.ONE_TO_ONE:
        labels = only(labels, matching.labels) if matching.on else without(labels, matching.labels)
    for name in matching.include:
        labels = changed(labels, name, dict(one).get(name, ""))
    return labels


def _signature_of(matching: Matching) -> Signature:
    if matching.on:
        return lambda labels: only(labels, matching.labels)
    ignored = matching.labels | {METRIC_NAME}
    return lambda labels: without(labels, ignored)


def _and(left: Vector, right: Vector, signature: Signature) -> Vector:
    there = {signature(labels) for labels, _ in right}
    return [sample for sample in left if signature(sample[0]) in there]


def _or(left: Vector, right: Vector, signature: Signature) -> Vector:
    there = {signature(labels) for labels, _ in left}
    return distinct(left + [sample for sample in right if signature(sample[0]) not in there])


def _unless(left: Vector, right: Vector, signature: Signature) -> Vector:
    there = {signature(labels) for labels, _ in right}
    return [sample for sample in left if signature(sample[0]) not in there]


SET_OPERATORS: Mapping[str, Callable[[Vector, Vector, Signature], Vector]] = {
    "and": _and,
    "or": _or,
    "unless": _unless,
}
