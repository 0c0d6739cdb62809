"""Names to handlers: `EventRegister`, signatures, payload types, middleware."""
