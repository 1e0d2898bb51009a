from __future__ import annotations

import socket

import psutil
import pytest

from hostward.database.diagnosis import DIAGNOSES, diagnose, who_listens

WORDS = {
    "java.io.IOException: No space left on device": "disk-full",
    "Caused by: java.security.NoSuchAlgorithmException: Foo TrustManagerFactory not available": "trust-manager",
    "127.0.0.2:7000 is in use by another process.  Change listen_address:storage_port": "port-in-use",
    "java.net.BindException: Cannot assign requested address": "address-missing",
    "java.lang.RuntimeException: Unable to gossip with any peers": "no-seeds",
    "ConfigurationException: This node was decommissioned and will not rejoin the ring unless -D": "removed",
    "A node with address /127.0.0.3:7000 already exists, cancelling join. Use x": "address-taken",
    "Other bootstrapping/leaving/moving nodes detected, cannot bootstrap while": "join-busy",
    "ConfigurationException: Saved cluster name a-1 != configured name b-1": "other-ring",
    "CommitLogReplayException: Encountered bad header at position 4": "damaged",
    "ERROR [main] JVMStabilityInspector: Exiting due to error while processing commit log during initialization.": (
        "damaged"
    ),
    "org.apache.cassandra.exceptions.ConfigurationException: Invalid yaml. Please remove properties [x]": "bad-yaml",
    "java.lang.OutOfMemoryError: Java heap space": "no-memory",
    "UnsupportedOperationException: The Security Manager is deprecated; SecurityManager is not supported": "wrong-java",
}


@pytest.mark.parametrize(("words", "code"), WORDS.items())
def test_cassandras_words_become_a_cause_and_a_remedy(words: str, code: str) -> None:
    error = diagnose(f"INFO [main] Starting\nERROR [main] {words}\n\tat somewhere", 3)
    assert error.code == code
    assert error.remedy
    assert "{" not in error.message


def test_every_row_of_the_table_is_proved() -> None:
    assert {row.code for row in DIAGNOSES} == set(WORDS.values())


def test_a_node_that_lists_itself_only_warns_about_its_peers() -> None:
    log = "WARN Unable to gossip with any peers but continuing anyway since node is in its own seed list"
    assert diagnose(log, -9).code == "node-exited"


def test_the_jvms_arguments_are_no_lack_of_memory() -> None:
    log = "INFO [main] CassandraDaemon: JVM Arguments: [-Xmx192m, -XX:+ExitOnOutOfMemoryError, -Xss256k]"
    error = diagnose(log, -9)
    assert error.code == "node-exited"
    assert "signal 9" in error.message


def test_an_unknown_end_says_how_and_the_last_error() -> None:
    error = diagnose("INFO fine\nERROR one\nERROR two\nINFO more", 3)
    assert error.code == "node-exited"
    assert "ended (3)" in error.message
    assert error.message.endswith("ERROR two")
    assert "signal 9" in diagnose("", -9).message
    assert diagnose("ERROR before", -9).message.endswith("signal 9."), "somebody killed it, whatever it said before"
    harmless = "WARN ExceptionHandlers: SSLException in client networking"
    assert diagnose(harmless, 1).message.endswith("ended (1).")


def test_a_listening_process_is_named() -> None:
    with socket.create_server(("127.0.1.5", 0)) as server:
        who = who_listens("127.0.1.5", server.getsockname()[1])
        nobody = who_listens("127.0.1.6", server.getsockname()[1])
    assert who == f"{psutil.Process().name()} (process {psutil.Process().pid})"
    assert nobody is None
