"""Details: a row for each server, from the ring as nodetool sees it at this moment and from what the servers say."""

from __future__ import annotations

import asyncio
from typing import Any

from hostward.domain.replication import Role
from hostward.replication.goals import Process
from hostward.replication.group.members import JOINED, JOINING, Member
from hostward.replication.keys.passphrase_change import PassphraseChanges
from hostward.replication.parts import Parts
from hostward.replication.peers.views import View, same_history


class Details:
    """Rows have the guide's columns (address, status, Owns, Host Id, Local Instance, state) and what proves equality:
    revision, lag, in sync with the time it was last compared."""

    def __init__(self, parts: Parts, passphrases: PassphraseChanges) -> None:
        self._p, self._passphrases = parts, passphrases

    async def rows(self) -> list[dict[str, Any]]:
        """One for each server, the Master first, then by name; and for each node that belongs to none."""
        p = self._p
        if p.state.now.role is Role.STANDALONE and p.node.process is Process.NONE:
            return [self._standalone_row()]
        ring, _ = await asyncio.gather(p.node.rows(), p.views.poll([m for m in p.others() if m.state == JOINED]))
        everyone = {m.server_id: m for m in p.everyone()}
        by_id = {str(r["host_id"]): r for r in ring}
        rows = [self._row(m, by_id.pop(m.host_id, None)) for m in everyone.values()]
        for host_id, node in by_id.items():
            owner = next((m for m in everyone.values() if m.address == node["address"]), None)
            if owner is not None:
                rows = [r for r in rows if r["server"] != owner.server_id]
                rows.append(self._row(owner, node))
            else:
                rows.append({**self._blank(), **node, "host_id": host_id, "server_name": "not a member"})
        return sorted(rows, key=_order) or [self._standalone_row()]

    def behind(self) -> int | None:
        """How many changes this Slave lacks, as far as it knows; None before the Master has said where it is."""
        target = self._p.follower.target
        return max(0, target.revision - self._p.group.position.revision) if target else None

    def _blank(self) -> dict[str, Any]:
        return {
            "server": "", "server_name": "", "address": "", "status": "UNKNOWN", "owns_percent": None, "host_id": "",
            "local_instance": False, "state": "UNKNOWN", "role": "", "revision": None, "lag_changes": None,
            "in_sync": False, "compared_at": "", "version": "", "seen_at": "", "detail": "",
            "passphrase_confirmed": True,
        }  # fmt: skip

    def _standalone_row(self) -> dict[str, Any]:
        p = self._p
        return {
            **self._blank(), "server": p.server_id, "server_name": p.describe_self().name, "address": "127.0.0.1",
            "status": "UP", "owns_percent": 100.0, "host_id": p.server_id, "local_instance": True, "state": "NORMAL",
            "role": "standalone", "revision": p.group.position.revision, "lag_changes": 0, "in_sync": p.content.ok,
            "compared_at": p.content.verified_at, "seen_at": p.now(), "version": p.version,
        }  # fmt: skip

    def _row(self, them: Member, node: dict[str, Any] | None) -> dict[str, Any]:
        p, mine = self._p, self._p.group.position
        local = them.server_id == p.server_id
        master_id = p.server_id if p.state.now.role is Role.MASTER else p.state.now.master_id
        row = {
            **self._blank(), "server": them.server_id, "server_name": them.name, "address": them.address,
            "host_id": them.host_id, "local_instance": local, "version": them.version,
            "role": "master" if them.server_id == master_id else "slave",
            "passphrase_confirmed": not self._passphrases.is_waiting_for(them.server_id),
        }  # fmt: skip
        if node is not None:
            row.update({k: node[k] for k in ("status", "state", "owns_percent", "host_id")})
        elif them.state == JOINING:
            row.update(status="DOWN", state="JOINING")
        if local:
            return {**row, **self._local_comparison(), "revision": mine.revision, "seen_at": p.now()}
        view = p.views.of(them.server_id)
        if view.position is not None:
            row.update(self._comparison(view, master=them.server_id == master_id))
        return {**row, "detail": view.silent}

    def _comparison(self, view: View, *, master: bool) -> dict[str, Any]:
        """Another server against this registry: the same history, and nothing missing."""
        p, theirs = self._p, view.position
        assert theirs is not None
        lag = p.group.position.revision - theirs.revision
        lag = 0 if master else max(0, lag)
        in_sync = not view.silent and view.content_ok and p.content.ok and same_history(p.group, theirs)
        in_sync = in_sync and theirs.revision == p.group.position.revision
        status = view.status or {}
        return {
            "revision": theirs.revision, "lag_changes": lag, "in_sync": in_sync, "compared_at": view.compared_at,
            "seen_at": view.seen_at, "version": status.get("version", ""),
        }  # fmt: skip

    def _local_comparison(self) -> dict[str, Any]:
        """This server against its Master; a Master is what the others are compared with."""
        p = self._p
        if p.state.now.role is Role.SLAVE:
            view = p.views.of(p.state.now.master_id)
            behind = self.behind()
            in_sync = p.content.ok and p.follower.in_step and not view.silent
            return {"lag_changes": behind, "in_sync": in_sync, "compared_at": view.compared_at}
        return {"lag_changes": 0, "in_sync": p.content.ok, "compared_at": p.content.verified_at}


def _order(row: dict[str, Any]) -> tuple[bool, bool, str, str]:
    return row["role"] != "master", not row["server"], row["server_name"].casefold(), row["host_id"]
