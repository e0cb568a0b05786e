"""Contour: an HTTPProxy of the apex's name, or HTTPProxies of the user's."""
