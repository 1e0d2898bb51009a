"""A gate on the wire between servers that records every byte, and alters what passes as it is told."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from enum import Enum

from tests.support.gate import Gate

ONE_IN = 3
"""Of the pieces that pass, so many are altered: the others let the servers get far enough to be worth altering."""
CUT_INTO_BYTES = 700
KEPT_ANSWERS = 200


class Altering(Enum):
    """What is done to what passes."""

    NOTHING = "nothing"
    FLIP = "one bit is flipped"
    CUT = "the second half is missing, and the connection breaks"
    DROP = "a piece is missing"
    SPLIT = "it arrives in small parts"
    TWICE = "it arrives twice"
    STALE = "an earlier piece of the same direction arrives instead"


class Relay(Gate):
    """Honest until `altering` is set. What it recorded is what came in, not what it made of it."""

    def __init__(self, address: str, behind: str, ports: tuple[int, ...]) -> None:
        self._lock = threading.Lock()
        self._random = random.Random(7)
        self._pieces: dict[bool, list[bytes]] = {True: [], False: []}
        self.altering = Altering.NOTHING
        self.altered = 0
        super().__init__(address, behind, ports)

    def recorded(self) -> bytes:
        """Everything that has passed, in both directions."""
        with self._lock:
            return b"".join(self._pieces[True]) + b"".join(self._pieces[False])

    def requests(self) -> list[bytes]:
        """The requests' bodies that have passed whole."""
        with self._lock:
            stream = b"".join(self._pieces[True])
        found = []
        for part in stream.split(b"POST /")[1:]:
            head, _, body = part.partition(b"\r\n\r\n")
            found += [body[: _length(head)]] if len(body) >= _length(head) > 0 else []
        return found

    def passed(self, piece: bytes, to_server: bool) -> Sequence[bytes] | None:
        with self._lock:
            kept = self._pieces[to_server]
            kept.append(piece)
            if self.altering is Altering.NOTHING or self._random.randrange(ONE_IN):
                return (piece,)
            self.altered += 1
            return self._altered(piece, kept)

    def _altered(self, piece: bytes, kept: Sequence[bytes]) -> Sequence[bytes] | None:
        at = self._random.randrange(len(piece))
        match self.altering:
            case Altering.FLIP:
                return (piece[:at] + bytes([piece[at] ^ 1 << self._random.randrange(8)]) + piece[at + 1 :],)
            case Altering.CUT:
                return None
            case Altering.DROP:
                return (piece[at:],)
            case Altering.SPLIT:
                return [piece[n : n + CUT_INTO_BYTES] for n in range(0, len(piece), CUT_INTO_BYTES)]
            case Altering.TWICE:
                return (piece, piece)
            case Altering.STALE:
                return (self._random.choice(kept[-KEPT_ANSWERS:]),)
        return (piece,)


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0
