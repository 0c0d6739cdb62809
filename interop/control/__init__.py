"""How to talk to a peer. Peers of other environments import `contract` and `lines` alone."""
