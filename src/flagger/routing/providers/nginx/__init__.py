"""ingress-nginx: a second Ingress beside the user's own, whose annotations say who gets the canary."""
