"""One chat service each: how a message looks there. Pure; what is sent how is told elsewhere."""
