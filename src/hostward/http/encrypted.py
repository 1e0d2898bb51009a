"""Passwords and tokens go over HTTPS alone (RFC 6749, 3.2; RFC 6750, 5.3), but from this machine itself.

What servers say to each other may go over HTTP: it is signed and encrypted by itself. So may health checks, which hold
nothing secret.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final
from urllib.parse import quote

from starlette.requests import Request

from hostward.commands.services import Services
from hostward.domain.errors import Forbidden

CODE: Final = "https-needed"


def check_encrypted(services: Services, request: Request) -> None:
    """Return where nobody between the caller and this server can read what is sent. Raises Forbidden, with the address
    to use instead."""
    if request.url.scheme == "https" or _is_own(request.client.host if request.client else ""):
        return
    url = https_url(services, request.url.path)
    raise Forbidden(
        "Passwords and tokens aren't taken over HTTP, where others can read them on their way; nothing was done.",
        remedy=f"{f'Use {url}' if url else _NO_HTTPS} What was just sent may have been read: change that password, or "
        "delete that token.",
        code=CODE,
    )


def https_url(services: Services, path: str, query: str = "") -> str | None:
    """That path over HTTPS, at the configured name, whatever the request calls this server; None where this server
    doesn't listen on it."""
    s = services.configuration.server
    if not s.https_port:
        return None
    port = "" if s.https_port == 443 else f":{s.https_port}"
    host = f"[{s.host_name}]" if ":" in s.host_name else s.host_name
    return f"https://{host}{port}{quote(path)}{f'?{query}' if query else ''}"


def needs_https() -> Forbidden:
    """What can't be had from a server that doesn't listen on it."""
    return Forbidden(
        "The Administrative Console needs HTTPS, and this server doesn't listen on it.", remedy=_NO_HTTPS, code=CODE
    )


_NO_HTTPS: Final = "Set https_port in the configuration, and restart the server."


def _is_own(address: str) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback
