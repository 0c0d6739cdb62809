"""What a real application and a real server said: kept by a proxy, and played again."""
