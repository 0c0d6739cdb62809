"""Whether a peer keeps the control contract: what ``peer-check`` looks at, and in which order."""
