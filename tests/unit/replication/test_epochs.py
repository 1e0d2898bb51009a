"""Which Master a server believes in, decided from records alone; and where a follower may cross into another epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostward.domain.changes import Change, Epoch, Position
from hostward.domain.epochs import EpochRecord
from hostward.domain.errors import RegistryError
from hostward.domain.replication import Role, Target
from hostward.replication.masters.epochs import (
    GAP_S,
    SILENT_S,
    Circumstances,
    Contacts,
    Judgement,
    Standing,
    Verdict,
    believes,
    check_epochs,
    judge,
    sign_record,
)
from hostward.trust.identity import ServerIdentity, load_or_create

NAMES = ("a", "b", "c", "d")
GROUP = "g"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ServerIdentity]:
    directory = tmp_path_factory.mktemp("identities")
    return {name: made(directory / name) for name in NAMES}


def made(directory: Path) -> ServerIdentity:
    directory.mkdir()
    return load_or_create(directory, "server.example.com", [], datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class World:
    """Servers a, b, c are members; a is the Master of epoch 1. d is a stranger."""

    servers: dict[str, ServerIdentity]

    def id(self, name: str) -> str:
        return self.servers[name].server_id

    def epoch(self, number: int, name: str) -> Epoch:
        return Epoch(number, self.id(name))

    def record(self, before: tuple[int, str], after: tuple[int, str], *, planned: bool, by: str = "") -> EpochRecord:
        """Signed by who must, or by another server."""
        unsigned = EpochRecord(
            group=GROUP,
            epoch=self.epoch(*after),
            start=Position(self.epoch(*before), 10 * before[0], b"h" * 32, b"d" * 32),
            planned=planned,
            time="2026-01-01T00:00:00Z",
            name=after[1],
            target=Target(f"{after[1]}.example.com", 443),
            certificate=self.servers[after[1]].certificate_pem,
        )
        if by:
            return replace(unsigned, signature=self.servers[by].sign(unsigned.body))
        return sign_record(unsigned, self.servers[before[1] if planned else after[1]])

    def judged(
        self, *records: EpochRecord, me: str = "c", at: tuple[int, str] = (1, "a"), believed: bool = False
    ) -> Judgement:
        known = {self.id(n): [self.servers[n].certificate_pem] for n in ("a", "b", "c")}
        return judge(
            records,
            Standing(
                self.id(me), GROUP, self.epoch(*at), lambda server_id: known.get(server_id, []), lambda _: believed
            ),
        )


@pytest.fixture
def world(servers: dict[str, ServerIdentity]) -> World:
    return World(servers)


@pytest.mark.feature("R27")
def test_a_hand_over_by_the_followed_master_needs_nobody(world: World) -> None:
    record = world.record((1, "a"), (2, "b"), planned=True)
    assert world.judged(record) == Judgement(Verdict.FOLLOW, (record,))
    assert world.judged(record, me="a") == Judgement(Verdict.FOLLOW, (record,))
    assert world.judged(record, me="b") == Judgement(Verdict.TAKE_OVER, (record,))
    assert world.judged(record, at=(2, "b")) == Judgement(Verdict.NOTHING)


@pytest.mark.feature("R27")
def test_who_was_away_for_several_follows_the_whole_chain(world: World) -> None:
    chain = (
        world.record((1, "a"), (2, "b"), planned=True),
        world.record((2, "b"), (3, "c"), planned=True),
        world.record((3, "c"), (4, "a"), planned=True),
    )
    assert world.judged(*reversed(chain), me="b") == Judgement(Verdict.FOLLOW, chain)
    assert world.judged(*chain, me="a") == Judgement(Verdict.TAKE_OVER, chain)
    # Without the middle one nothing ties the last to the Master that is followed.
    broken = world.judged(chain[0], chain[2], me="b")
    assert (broken.chain, broken.claims) == (chain[:1], chain[2:])


@pytest.mark.feature("R27")
def test_a_forced_one_is_only_a_claim(world: World) -> None:
    record = world.record((1, "a"), (2, "b"), planned=False)
    for me in ("a", "c"):
        assert world.judged(record, me=me) == Judgement(Verdict.NOTHING, (), (record,))
        assert world.judged(record, me=me, believed=True) == Judgement(Verdict.FOLLOW, (record,))


@pytest.mark.feature("R27")
def test_what_hands_over_after_a_claim_needs_the_claim_to_be_believed(world: World) -> None:
    chain = (world.record((1, "a"), (2, "b"), planned=False), world.record((2, "b"), (3, "c"), planned=True))
    assert world.judged(*chain, me="a") == Judgement(Verdict.NOTHING, (), chain)
    assert world.judged(*chain, me="a", believed=True) == Judgement(Verdict.FOLLOW, chain)


@pytest.mark.feature("R27")
def test_a_hand_over_outranks_claims_however_high_they_number_themselves(world: World) -> None:
    claim = world.record((1, "a"), (1_000_000, "b"), planned=False)
    handed = world.record((1, "a"), (2, "c"), planned=True)
    judged = world.judged(claim, handed, me="c")
    assert (judged.verdict, judged.chain, judged.claims) == (Verdict.TAKE_OVER, (handed,), (claim,))
    later = world.record((1, "a"), (1_000_001, "c"), planned=True)
    assert world.judged(claim, later, me="c") == Judgement(Verdict.TAKE_OVER, (later,))


def _forgeries() -> dict[str, Callable[[World], EpochRecord]]:
    def handed(w: World, **changes: object) -> EpochRecord:
        return replace(w.record((1, "a"), (2, "b"), planned=True), **changes)  # type: ignore[arg-type]

    return {
        "a Slave signs its own hand-over": lambda w: w.record((1, "a"), (2, "b"), planned=True, by="b"),
        "another Slave's claim": lambda w: w.record((1, "a"), (2, "b"), planned=False, by="c"),
        "a stranger's claim": lambda w: w.record((1, "a"), (2, "d"), planned=False),
        "a hand-over to a stranger": lambda w: w.record((1, "a"), (2, "d"), planned=True),
        "of another group": lambda w: handed(w, group="other"),
        "another start": lambda w: handed(w, start=Position(w.epoch(1, "a"), 5, b"h" * 32, b"d" * 32)),
        "another number": lambda w: handed(w, epoch=w.epoch(3, "b")),
        "another server": lambda w: handed(w, epoch=w.epoch(2, "c")),
        "another certificate": lambda w: handed(w, certificate=w.servers["c"].certificate_pem),
        "no certificate": lambda w: handed(w, certificate="none"),
        "another address": lambda w: handed(w, target=Target("evil.example.net", 443)),
        "a claim dressed as a hand-over": lambda w: replace(
            w.record((1, "a"), (2, "b"), planned=False), planned=True
        ),
        "a hand-over by who was Master long ago": lambda w: w.record((1, "b"), (2, "c"), planned=True),
    }  # fmt: skip


@pytest.mark.feature("R27")
@pytest.mark.parametrize("forgery", list(_forgeries()))
def test_a_forged_record_is_never_followed(world: World, forgery: str) -> None:
    record = _forgeries()[forgery](world)
    for me in ("a", "c"):
        for believed in (False, True):
            judged = world.judged(record, me=me, believed=believed)
            if forgery == "a hand-over by who was Master long ago":
                # It is signed by a member, so it is shown; but it hands over nothing that is followed.
                assert believed or judged.verdict is Verdict.NOTHING
            else:
                assert judged == Judgement(Verdict.NOTHING)


@pytest.mark.feature("R27")
@given(st.booleans(), st.booleans(), st.sampled_from(["ask", "follow"]), st.booleans(), st.sampled_from(Role))
def test_who_believes_a_claim(told: bool, refused: bool, policy: str, apart: bool, role: Role) -> None:
    believed = believes(Circumstances(role, refused, told, policy, apart))
    if role is Role.STANDALONE or not (apart or told):
        assert not believed
    if role is Role.MASTER:
        assert believed == (apart and not refused)
    if role is Role.SLAVE:
        assert believed == (told or (policy == "follow" and apart))


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def talking(clock: Clock, contacts: Contacts, names: str, for_s: float, every_s: float = 1.0) -> None:
    end = clock.now + for_s
    while clock.now < end:
        clock.now += every_s
        for name in names:
            contacts.heard(name)
        contacts.looked()


@pytest.mark.feature("R27")
def test_a_master_in_contact_believes_nobody() -> None:
    clock = Clock()
    contacts = Contacts(clock)
    talking(clock, contacts, "bc", 60)
    assert not contacts.out_of_contact("b")
    # b keeps quiet, and then says it is the Master: c was there all the time.
    talking(clock, contacts, "c", 60)
    assert not contacts.out_of_contact("b")
    assert contacts.out_of_contact("b") is False
    # Answers that get lost now and then are no gap.
    talking(clock, contacts, "c", 60, every_s=GAP_S - 0.5)
    assert not contacts.out_of_contact("b")


@pytest.mark.feature("R27")
@given(st.floats(SILENT_S, 1_000), st.booleans())
def test_a_master_that_was_halted_believes_who_was_promoted_meanwhile(
    halted_s: float, third_answers_first: bool
) -> None:
    clock = Clock()
    contacts = Contacts(clock)
    talking(clock, contacts, "bc", 60)
    clock.now += halted_s
    assert contacts.stale
    if third_answers_first:
        contacts.heard("c")
    assert contacts.out_of_contact("b")
    talking(clock, contacts, "c", 30)
    assert contacts.out_of_contact("b"), "also when its claim comes later"
    assert not contacts.stale


@pytest.mark.feature("R27")
def test_a_master_that_was_cut_off_or_has_just_started_believes() -> None:
    clock = Clock()
    started = Contacts(clock)
    started.heard("c")
    assert started.out_of_contact("b")
    talking(clock, started, "bc", 60)
    for _ in range(20):  # it looks around, and hears nobody
        clock.now += 1
        started.looked()
    assert not started.stale
    assert started.out_of_contact("b")


@pytest.mark.feature("R27")
def test_a_master_that_has_just_taken_over_does_not_believe() -> None:
    clock = Clock()
    contacts = Contacts(clock)
    talking(clock, contacts, "a", 5)
    contacts.begin()
    assert not contacts.out_of_contact("b")
    talking(clock, contacts, "c", 60)
    assert not contacts.out_of_contact("b"), "a server that never came along in this epoch"


def change(revision: int, epoch: Epoch, previous: bytes = b"") -> Change:
    return Change(epoch, revision, previous or b"%d" % (revision - 1), b"%d" % revision, b"", "", "", "", b"", b"", b"")


@pytest.mark.feature("R27")
def test_a_follower_crosses_only_where_a_record_says(world: World) -> None:
    one, two, three = world.epoch(1, "a"), world.epoch(2, "b"), world.epoch(3, "c")
    at = Position(one, 8, b"8", b"")
    second = replace(world.record((1, "a"), (2, "b"), planned=True), start=Position(one, 10, b"10", b""))
    third = replace(world.record((2, "b"), (3, "c"), planned=True), start=Position(two, 11, b"11", b""))
    run = [change(9, one), change(10, one), change(11, two), change(12, three)]
    check_epochs(at, run, [second, third])
    check_epochs(at, run[:2], [])
    refused = [
        (run, [second]),
        (run, [third]),
        (run, []),
        ([change(9, one), change(10, two)], [second]),
        ([change(9, one), change(10, one), change(11, one), change(12, two)], [second]),
        ([change(9, one), change(10, one), change(11, two, b"other")], [second]),
        ([change(9, Epoch(0, "z"))], []),
        ([change(9, one), change(10, one), change(11, two), change(12, one)], [second, third]),
    ]
    for changes, records in refused:
        with pytest.raises(RegistryError) as error:
            check_epochs(at, changes, records)
        assert error.value.code == "gap"
