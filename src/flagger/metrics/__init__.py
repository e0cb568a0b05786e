"""How it is doing: queries, judgements, observers."""
