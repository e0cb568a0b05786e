"""Skipper: a second Ingress beside the user's own, whose annotations divide the requests."""
