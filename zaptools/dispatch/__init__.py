"""The one loop from a received message to a handler's call, and its errors."""
