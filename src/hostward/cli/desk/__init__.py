"""`hostward client`: what runs at a user's desk, on whichever server of the group answers."""

from hostward.cli.desk.app import app

__all__ = ["app"]
