"""How to talk to a peer: the contract, its operations, sessions, and how long to wait.

Peers that run in other environments import `contract` and `lines`, which need the standard library
alone. So this module imports nothing.
"""
