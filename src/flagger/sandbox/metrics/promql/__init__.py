"""PromQL evaluated on the series store: the functions that built-in and documented queries use.

The answers are those of Prometheus 2.42; anything that is not implemented is refused by name. What differs: a few
notations of newer versions are accepted (`offset 5`, `5m` as a number), it is open which of several equal values
`topk` and `bottomk` choose, and there are no native histograms.
"""
