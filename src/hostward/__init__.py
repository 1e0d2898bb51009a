"""Hostward: a management and security server for terminal sessions, the same on every server of a group."""

__version__ = "0.1.0"
