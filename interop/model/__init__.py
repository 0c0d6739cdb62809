"""What there is to see of an implementation, where the scenarios look at it, and what no library is
asked for."""
