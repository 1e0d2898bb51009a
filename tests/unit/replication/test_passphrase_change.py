from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hostward.replication.keys.passphrase_change import PassphraseChange

IDS = st.sets(st.sampled_from("abcdefgh"), max_size=8)


@given(members=IDS, confirmed=IDS, more=IDS)
def test_settled_means_that_every_member_has_it_and_nobody_else_is_waited_for(
    members: set[str], confirmed: set[str], more: set[str]
) -> None:
    change = PassphraseChange("id", "admin", "", tuple(sorted(confirmed)))
    now = change.confirmed_by(more, of=members)
    assert now.settled == (members <= confirmed | more)
    assert set(now.confirmed) == (confirmed | more) & members
    assert now.confirmed_by(set(), of=members) == now
    assert change.confirmed_by(more, of=members | {"new"}).settled is False
