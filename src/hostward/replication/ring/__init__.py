"""This server's node and the ring that it is part of, as they are."""
