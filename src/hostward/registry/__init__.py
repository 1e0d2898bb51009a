"""The embedded registry: group.db (replicated) and server.db (this server's alone)."""
