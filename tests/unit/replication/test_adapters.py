"""Which adapter a server moves to when DHCP has given it another address: only where there is no doubt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostward.replication.ring.adapters import Adapter, find_again

NEW = Adapter("eth0", "10.0.0.7", False, True)
SECOND = Adapter("eth0", "10.0.0.8", False, True)
WIFI = Adapter("wlan0", "192.168.1.3", False, True)
DOWN = Adapter("eth0", "10.0.0.9", False, False)
LOOP = Adapter("lo", "127.0.0.1", True, True)
SIX = Adapter("eth0", "2001:db8::7", False, True)


@pytest.mark.feature("R18")
@pytest.mark.parametrize(
    ("adapters", "configured", "found"),
    [
        ([LOOP, NEW], None, NEW),
        ([LOOP, NEW, WIFI], None, NEW),  # the adapter of that name
        ([LOOP, WIFI], None, WIFI),  # the only one that there is
        ([LOOP, NEW, SECOND], None, None),
        ([LOOP, NEW, SECOND], "10.0.0.8", SECOND),
        ([LOOP, NEW, WIFI], "192.168.1.3", WIFI),
        ([LOOP, NEW], "10.9.9.9", NEW),  # what is configured isn't there
        ([LOOP, DOWN, SIX], None, None),
        ([LOOP], None, None),
        ([], None, None),
    ],
)
def test_the_address_is_found_again(adapters: list[Adapter], configured: str | None, found: Adapter | None) -> None:
    assert find_again("10.0.0.5", "eth0", configured, adapters) == found


adapters = st.lists(st.sampled_from([NEW, SECOND, WIFI, DOWN, LOOP, SIX]), unique=True)


@given(adapters, st.sampled_from(["", "eth0", "wlan0", "gone"]), st.sampled_from([None, "10.0.0.8", "127.0.0.1"]))
def test_never_to_an_address_that_the_others_could_not_reach(
    there: list[Adapter], name: str, configured: str | None
) -> None:
    found = find_again("10.0.0.5", name, configured, there)
    assert found is None or (found in there and found.up and not found.loopback and ":" not in found.address)
