"""Gloo Edge: a RouteTable of the apex's name, to which the user's VirtualService delegates, and two Upstreams."""
