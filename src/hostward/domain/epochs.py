"""Epochs: a Master's terms of office, and the signed records with which one ends and the next begins.

A record names where in history its epoch starts. What lies beyond that, on whichever server, isn't part of the group's
history any more. A planned one is signed by the Master that hands over: whoever follows that Master follows it. A
forced one has only the new Master's own word.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from hostward.domain.changes import Epoch, Position, canonical
from hostward.domain.errors import HostwardError, RegistryError
from hostward.domain.replication import Target

FORMAT = 1


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One epoch's beginning. `start` has the epoch before, and the revision, hash and digest after which this one
    starts. `certificate` (PEM), `name`, `target` are the new Master's. `not_asked` names the servers that a forced
    promotion couldn't ask. `time` is ISO 8601 UTC, for people only. `signature` is over `body`."""

    group: str
    epoch: Epoch
    start: Position
    planned: bool
    time: str
    name: str
    target: Target
    certificate: str
    not_asked: tuple[str, ...] = ()
    signature: bytes = b""

    @property
    def master(self) -> str:
        """The new Master's server id."""
        return self.epoch.server

    @property
    def signer(self) -> str:
        """The server id of who must have signed it."""
        return self.start.epoch.server if self.planned else self.epoch.server

    @property
    def body(self) -> bytes:
        """Everything that the signature covers."""
        return canonical(self._fields())

    def starts_at(self, position: Position) -> bool:
        """Whether a registry that stands there may begin this epoch: the same history and content."""
        s = self.start
        return (position.revision, position.hash, position.digest) == (s.revision, s.hash, s.digest)

    def to_json(self) -> dict[str, Any]:
        return {**self._fields(), "signature": self.signature.hex()}

    def to_bytes(self) -> bytes:
        return canonical(self.to_json())

    def _fields(self) -> dict[str, Any]:
        t = self.target
        return {
            "format": FORMAT,
            "group": self.group,
            "epoch": str(self.epoch),
            "start": self.start.to_json(),
            "planned": self.planned,
            "time": self.time,
            "name": self.name,
            "target": {"host": t.host, "port": t.port, "context": t.context},
            "certificate": self.certificate,
            "not_asked": list(self.not_asked),
        }

    @staticmethod
    def from_json(value: dict[str, Any]) -> EpochRecord:
        """Raises RegistryError "epoch-record" for anything else than a record that makes sense in itself."""
        try:
            if value["format"] != FORMAT:
                raise RegistryError(
                    f"An epoch's record has format {value['format']}; this version reads {FORMAT}.",
                    remedy="Upgrade this server.",
                    code="epoch-record",
                )
            record = EpochRecord(
                group=str(value["group"]),
                epoch=Epoch.parse(value["epoch"]),
                start=Position.from_json(value["start"]),
                planned=bool(value["planned"]),
                time=str(value["time"]),
                name=str(value["name"]),
                target=Target(**value["target"]),
                certificate=str(value["certificate"]),
                not_asked=tuple(str(name) for name in value["not_asked"]),
                signature=bytes.fromhex(value["signature"]),
            )
        except RegistryError:
            raise
        except (KeyError, TypeError, ValueError, HostwardError) as error:
            raise RegistryError(f"An epoch's record can't be read: {error}.", code="epoch-record") from error
        if record.epoch <= record.start.epoch or record.epoch.number < 1:
            raise RegistryError("An epoch's record goes back in time.", code="epoch-record")
        return record

    @staticmethod
    def from_bytes(data: bytes) -> EpochRecord:
        """Raises RegistryError "epoch-record"."""
        try:
            value = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise RegistryError(f"An epoch's record can't be read: {error}.", code="epoch-record") from error
        return EpochRecord.from_json(value)
