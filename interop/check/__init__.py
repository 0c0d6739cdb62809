"""One server that runs already, judged from outside."""
