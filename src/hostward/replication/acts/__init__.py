"""The coordinator's eyes and hands: how a server is observed, and one act for each goal."""
