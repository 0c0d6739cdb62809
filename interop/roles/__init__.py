"""What a scenario holds in hand: servers, clients, the judged side."""
