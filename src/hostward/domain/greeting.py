"""The name by which a server's own certificate is asked for."""

from __future__ import annotations

from typing import Final

IDENTITY_NAME: Final = "identity.hostward.invalid"
"""Whoever greets the HTTPS port by this name (TLS server name indication, RFC 6066) is shown the server's own
certificate, also where browsers see another: servers do, and command lines and desks that pinned it. No host can have
the name (RFC 6761)."""
