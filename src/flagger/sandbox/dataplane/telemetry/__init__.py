"""Envoy's figures under the names by which meshes and ingress controllers publish theirs.

`counted` reads what Envoy says of its clusters, `families` says whose figures those are, `dialects` how each family
spells them, `page` puts that together and `server` serves it to be scraped.
"""
