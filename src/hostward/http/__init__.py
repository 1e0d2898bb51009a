"""What is served: REST API, pages, and the servers' own conversation."""
