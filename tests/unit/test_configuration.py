from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from hostward.configuration import Configuration, load_configuration
from hostward.domain.errors import InvalidInput

pytestmark = pytest.mark.feature("R25")


def load(tmp_path: Path, text: str | bytes = "", **environment: str) -> Configuration:
    path = tmp_path / "hostward.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load_configuration(path, environment, lambda: "one.example.com")


def refusal(tmp_path: Path, text: str | bytes = "", **environment: str) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        load(tmp_path, text, **environment)
    assert caught.value.code == "configuration"
    assert caught.value.remedy
    return caught.value


def test_without_a_file_the_defaults_are_the_guides() -> None:
    c = load_configuration(None, {}, lambda: "one.example.com")
    assert (c.server.http_port, c.server.https_port, c.server.context) == (80, 443, "mss")
    assert c.server.host_name == "one.example.com"
    assert (c.database.storage_port, c.database.cql_port, c.database.loopback) == (7000, 9042, "127.0.0.1")
    d = c.database
    assert (d.address, d.java, d.maven_repository, d.runtime_dir) == (None, None, None, None)


def test_every_setting_can_be_set(tmp_path: Path) -> None:
    c = load(
        tmp_path,
        """
        [server]
        name = "Zürich 1"
        host_name = "two.example.com"
        listen = "127.0.0.2"
        http_port = 0
        https_port = 8443
        context = "hostward-2"
        [database]
        address = "127.0.0.2"
        storage_port = 7010
        cql_port = 7011
        management_port = 7012
        jmx_port = 7013
        loopback = "127.0.0.2"
        heap_mib = 256
        java = "/opt/java"
        maven_repository = "https://mirror.example.com:8443/maven2"
        runtime_dir = "~/runtime"
        """,
    )
    assert c.server.model_fields_set == set(type(c.server).model_fields)
    assert c.database.model_fields_set == set(type(c.database).model_fields)
    assert c.server.name == "Zürich 1"
    assert (c.server.http_port, c.database.storage_port, c.database.heap_mib) == (0, 7010, 256)
    assert c.database.java == Path("/opt/java")
    assert c.database.runtime_dir == Path.home() / "runtime"


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    c = load(
        tmp_path,
        "[server]\nhttps_port = 8443\ncontext = 'a'",
        HOSTWARD_SERVER_HTTPS_PORT="9443",
        HOSTWARD_SERVER_CONTEXT="",
        HOSTWARD_DATABASE_ADDRESS="192.0.2.7",
        HOSTWARD_SERVER="https://elsewhere.example.com/mss",
        HOSTWARD_TOKEN="x",
    )
    assert (c.server.https_port, c.server.context, c.database.address) == (9443, "a", "192.0.2.7")


def test_it_cannot_change_while_the_server_runs() -> None:
    c = load_configuration(None, {})
    with pytest.raises(ValidationError):
        c.server.http_port = 1


def test_a_machine_whose_name_is_no_host_name_still_starts() -> None:
    assert load_configuration(None, {}, lambda: "my_machine").server.host_name == "localhost"


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("[server]\n\nhtpp_port = 1", "line 3, [server] htpp_port", "Did you mean “http_port”?"),
        ("[servr]\nhttp_port = 1", "line 1, [servr]", "Did you mean “server”?"),
        ("http_port = 8080", "line 1, [http_port]", "below [server]"),
        ("server = 7", "line 1, [server]", "Write [server]"),
        ("[server]\nhttp_port = 70000", "line 2, [server] http_port", "1 to 65535, or 0"),
        ("[server]\nhttp_port = true", "line 2, [server] http_port", "“True” is no number"),
        ("[server]\nhttp_port = 80.5", "line 2, [server] http_port", "1 to 65535"),
        ("[server]\nhttp_port = []", "line 2, [server] http_port", "1 to 65535"),
        ("[server]\ncontext = 5", "line 2, [server] context", "quotation marks"),
        ("[server]\ncontext = '/mss'", "line 2, [server] context", "letters, digits"),
        ("[server]\ncontext = 'API'", "line 2, [server] context", "Choose another"),
        ("[server]\nhost_name = 'a b'", "line 2, [server] host_name", "blanks"),
        ("[server]\nlisten = 'localhost'", "line 2, [server] listen", "no IP address"),
        ('[server]\nname = "a\\nb"', "line 2, [server] name", "on one line"),
        ("[server]\nhttp_port = 0\nhttps_port = 0", "line 1, [server]", "both off"),
        ("[server]\nhttp_port = 443", "", "[server] http_port and [server] https_port are both 443"),
        ("[server]\nhttp_port = 7000", "", "[server] http_port and [database] storage_port are both 7000"),
        ("[database]\naddress = '0.0.0.0'", "line 2, [database] address", "others reach"),
        ("[database]\nstorage_port = 0", "line 2, [database] storage_port", "1 to 65535."),
        ("[database]\nloopback = '192.0.2.1'", "line 2, [database] loopback", "no loopback"),
        ("[database]\nheap_mib = 64", "line 2, [database] heap_mib", "128 to 65536"),
        ("[database]\njava = 'java'", "line 2, [database] java", "absolute"),
        ("[database]\nmaven_repository = 'mirror'", "line 2, [database] maven_repository", "https://HOST/PATH"),
        ("[database]\nmaven_repository = 'https://h:x/'", "line 2, [database] maven_repository", "https://HOST/PATH"),
    ],
)
def test_mistakes_name_the_place_and_what_to_write(tmp_path: Path, text: str, where: str, words: str) -> None:
    error = refusal(tmp_path, text)
    assert len(error.mistakes) == 1
    assert where in error.mistakes[0].field
    assert words in str(error)


def test_a_password_in_a_url_is_refused_without_being_shown(tmp_path: Path) -> None:
    error = refusal(tmp_path, "[database]\nmaven_repository = 'https://me:geheim@mirror.example.com/'")
    assert "Credentials don't belong" in str(error)
    assert "geheim" not in str(error) + repr(error.mistakes)


def test_all_mistakes_are_said_at_once(tmp_path: Path) -> None:
    error = refusal(
        tmp_path,
        "[server]\nhttp_port = -1\ncolour = 'red'\n[database]\njmx_port = 'x'",
        HOSTWARD_DATABASE_HEAP="256",
        HOSTWARD_DATABASE_CQL_PORT="nine",
    )
    assert [m.field.rpartition(", ")[2] for m in error.mistakes] == [
        "HOSTWARD_DATABASE_HEAP",
        "[server] http_port",
        "[server] colour",
        "HOSTWARD_DATABASE_CQL_PORT",
        "[database] jmx_port",
    ]
    assert "Did you mean “HOSTWARD_DATABASE_HEAP_MIB”?" in error.message


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[server\n", "line 1"),
        ("[a]\nb = 1\nb = 2\n[c]", "line 3"),
        ("ä".encode("latin-1"), "UTF-8"),
        (b"#" * (1 << 21), "1 MiB"),
    ],
)
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, text: str | bytes, word: str) -> None:
    assert word in refusal(tmp_path, text).message


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"none\.toml can't be read: No such file"):
        load_configuration(tmp_path / "none.toml", {})


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    assert load(tmp_path, "[server]\nhttp_port = 8080".encode("utf-8-sig")).server.http_port == 8080
