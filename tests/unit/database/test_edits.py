"""cassandra.yaml edited by hand: what is kept, what is named, and that nothing else ever gets through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hostward.database.edits import HONOURED, NO_EDITS, apply_edits, find_edits, why_not
from hostward.database.identity import node_identity
from hostward.database.settings import NodeSettings
from hostward.database.yaml import cassandra_yaml, look_for_edits, write_configuration

GUIDE = Path(__file__).parents[3] / "docs" / "guide.md"


@pytest.fixture
def settings(tmp_path: Path) -> NodeSettings:
    identity = node_identity(tmp_path / "identity", "server-1")
    return NodeSettings(
        cluster_name="hostward g 1",
        listen_address="127.0.0.2",
        seeds=("127.0.0.2:7000",),
        data_dir=tmp_path / "database",
        log_dir=tmp_path / "logs",
        key_path=identity.key_path,
        certificate_path=identity.certificate_path,
    )


def edit(settings: NodeSettings, old: str, new: str) -> None:
    text = settings.yaml_path.read_text(encoding="utf-8")
    assert old in text
    settings.yaml_path.write_text(text.replace(old, new), encoding="utf-8")


def written(settings: NodeSettings) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(settings.yaml_path.read_text(encoding="utf-8"))
    return found


@pytest.mark.feature("R19")
def test_an_honoured_edit_is_kept_through_every_rendering_until_it_is_taken_back(settings: NodeSettings) -> None:
    assert not write_configuration(settings).edits
    edit(settings, "concurrent_reads: 8", "concurrent_reads: 16")
    for _ in range(3):
        hand = write_configuration(settings)
        assert hand.edits.honoured == {"concurrent_reads": 16}
        assert written(settings) == {**cassandra_yaml(settings), "concurrent_reads": 16}
    edit(settings, "concurrent_reads: 16", "concurrent_reads: 8")
    assert write_configuration(settings).edits == NO_EDITS
    assert written(settings) == cassandra_yaml(settings)


@pytest.mark.feature("R19")
def test_the_guides_edit_of_the_trust_manager_is_kept(settings: NodeSettings) -> None:
    write_configuration(settings)
    edit(settings, "client_encryption_options:\n", "client_encryption_options:\n  algorithm: IBMX509\n")
    edit(settings, "server_encryption_options:\n", "server_encryption_options:\n  algorithm: IBMX509\n")
    assert write_configuration(settings).edits.honoured == {
        "client_encryption_options.algorithm": "IBMX509",
        "server_encryption_options.algorithm": "IBMX509",
    }
    assert written(settings)["server_encryption_options"]["algorithm"] == "IBMX509"


@pytest.mark.feature("R18")
def test_the_guides_edit_of_the_seeds_is_named_as_needless(settings: NodeSettings) -> None:
    write_configuration(settings)
    edit(settings, "seeds: 127.0.0.2:7000", "seeds: 10.9.9.9")
    hand = write_configuration(settings)
    assert [r.key for r in hand.edits.refused] == ["seed_provider"]
    assert "no edit is needed" in hand.edits.refused[0].why
    assert written(settings) == cassandra_yaml(settings)
    assert not write_configuration(settings).edits  # it is gone from the file


@pytest.mark.parametrize(
    ("old", "new", "key", "why"),
    [
        ("listen_address: 127.0.0.2", "listen_address: 0.0.0.0", "listen_address", "Database Network Adapter"),
        ("optional: false", "optional: true", "client_encryption_options.optional", "own server's certificate"),
        ("rpc_address: 127.0.0.1", "rpc_address: 0.0.0.0", "rpc_address", "own server only"),
        ("cluster_name: hostward g 1", "cluster_name: mine", "cluster_name", "can't merge"),
        ("commit_failure_policy: die", "commit_failure_policy: ignore", "commit_failure_policy", "healed"),
        ("auto_snapshot: false", "made_up: yes", "made_up", "isn't one of the keys"),
        (
            "server_encryption_options:\n",
            "server_encryption_options:\n  algorithm: PKIX\n",
            "server_encryption_options.algorithm",
            "SunX509",
        ),
    ],
)
def test_what_would_open_or_break_the_node_is_left_out_and_named(
    settings: NodeSettings, old: str, new: str, key: str, why: str
) -> None:
    write_configuration(settings)
    edit(settings, old, new)
    hand = write_configuration(settings)
    assert why in {r.key: r.why for r in hand.edits.refused}[key]
    assert written(settings) == cassandra_yaml(settings)


@pytest.mark.feature("R19")
@pytest.mark.parametrize(
    "content",
    ["{no yaml", "", "- a\n- list\n", "\t:", "a: &x [*x]", "cluster_name: cut off\nnum_tokens: 1\n", "x" * (2 << 20)],
)
def test_a_file_that_is_no_yaml_is_set_aside(settings: NodeSettings, content: str) -> None:
    write_configuration(settings)
    settings.yaml_path.write_text(content, encoding="utf-8")
    looked = look_for_edits(settings)
    assert looked.set_aside is not None
    assert not looked.set_aside.exists()
    hand = write_configuration(settings)
    assert hand.set_aside is not None
    assert hand.problem
    assert hand.set_aside.read_text(encoding="utf-8") == content
    assert written(settings) == cassandra_yaml(settings)
    assert not look_for_edits(settings).edits


def test_looking_changes_nothing(settings: NodeSettings) -> None:
    assert not look_for_edits(settings).edits  # nothing is there yet
    write_configuration(settings)
    edit(settings, "phi_convict_threshold: 6", "phi_convict_threshold: 9")
    before = settings.yaml_path.read_bytes()
    assert look_for_edits(settings).edits.honoured == {"phi_convict_threshold": 9}
    assert settings.yaml_path.read_bytes() == before


values = st.one_of(st.integers(), st.booleans(), st.text(max_size=5), st.lists(st.integers(), max_size=2))
documents = st.dictionaries(
    st.sampled_from(
        ["listen_address", "seeds", "concurrent_reads", "key_cache_size", "x", "server_encryption_options"]
    ),
    st.one_of(values, st.dictionaries(st.sampled_from(["algorithm", "optional", "keystore"]), values)),
)


@given(documents)
def test_only_honoured_keys_ever_differ_from_what_was_rendered(found: dict[str, Any]) -> None:
    rendered: dict[str, Any] = {
        "listen_address": "a",
        "concurrent_reads": 8,
        "server_encryption_options": {"optional": False, "keystore": "k"},
        "client_encryption_options": {"optional": False},
    }
    edits = find_edits(found, rendered)
    result = apply_edits(rendered, edits)
    assert rendered["server_encryption_options"] == {"optional": False, "keystore": "k"}
    for key, value in result.items():
        if key == "server_encryption_options":
            assert {k: v for k, v in value.items() if k != "algorithm"} == {"optional": False, "keystore": "k"}
        elif key not in HONOURED:
            assert value == rendered[key]
    assert set(edits.honoured) <= HONOURED
    assert all(r.why for r in edits.refused)


@pytest.mark.feature("R19")
def test_the_guide_lists_the_keys_that_may_be_changed() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    missing = [key for key in HONOURED if f"`{key}`" not in text]
    assert not missing
    assert not HONOURED & {key for key in HONOURED if why_not(key).startswith("the seeds")}
