"""PromQL evaluated on the series store: the functions that built-in and documented queries use."""
