"""The parts of a RouteTable: matchers and actions."""
