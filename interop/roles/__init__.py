"""The parties that a scenario uses: servers, clients, the judged side."""
