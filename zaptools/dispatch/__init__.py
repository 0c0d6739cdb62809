"""The loop from a received message to its handler's call, and the reports of its errors."""
