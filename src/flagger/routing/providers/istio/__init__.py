"""Istio: a VirtualService of the apex's name and two DestinationRules, or a VirtualService of the user's."""
