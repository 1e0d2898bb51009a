"""Trusted Certificates in step with the group: what the Master vouches for is trusted on every member.

A member's certificate is part of its replicated entry, which the Master has made after that server proved itself with
it, and has signed. So a server that joined by a code at the Master needn't be imported on every Slave by hand. It gives
the Master no power that it lacks: a Slave takes its whole configuration, and who may join its database, from the Master
already. What an administrator has deleted here isn't brought in again, and what the group brought in goes when the
Master removes that server.
"""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from hostward.domain.errors import InvalidInput
from hostward.domain.replication import Role
from hostward.replication.group.members import removed
from hostward.replication.parts import Parts
from hostward.trust.identity import server_id_of
from hostward.trust.listed import BY_GROUP

EVERY_S = 1.0

log = structlog.get_logger()


class Trusting:
    """One loop for a server."""

    def __init__(self, parts: Parts) -> None:
        self._p = parts

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self.follow_members()
            await asyncio.sleep(EVERY_S)

    def follow_members(self) -> None:
        """Trust the members that aren't trusted yet, and those no longer that were removed."""
        p, role = self._p, self._p.state.now.role
        if role is Role.STANDALONE or (role is Role.SLAVE and not p.follower.loaded):
            return
        with p.group.read() as reader:
            gone = [r.server_id for r in removed(reader)]
        for m in p.others():
            if p.store.of_server(m.server_id) or server_id_of(m.certificate) != m.server_id:
                continue
            with contextlib.suppress(InvalidInput):  # what is wrong with it is said where it is imported
                entry = p.store.welcome(m.certificate, m.name, BY_GROUP)
                log.info("certificate-trusted", name=entry.friendly_name, fingerprint=entry.fingerprint, by="Master")
        for server_id in gone:
            for name in p.store.dismiss(server_id):
                log.info("certificate-no-longer-trusted", name=name, by="Master")
