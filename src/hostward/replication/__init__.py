"""Keeping servers the same: coordinator, membership, publisher, follower, snapshots, peers."""
