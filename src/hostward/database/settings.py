"""What one replication database node is started with, and where its files are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

JMX_ADDRESS = "127.0.0.1"
"""Cassandra binds its local JMX port to the JVM's loopback address; there is no setting for it."""


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """Everything that decides how the node runs. Two nodes of one machine differ in `listen_address`, or in all ports.

    `seeds` are "address:port" of members' storage ports; a node that joins lists only others, a member lists itself
    too. `trusted_certificates` are the members' internode certificates (PEM); the node's own is always added.
    """

    cluster_name: str
    listen_address: str
    seeds: tuple[str, ...]
    data_dir: Path
    log_dir: Path
    key_path: Path
    certificate_path: Path
    trusted_certificates: tuple[str, ...] = ()
    storage_port: int = 7000
    cql_port: int = 9042
    management_port: int = 8778
    jmx_port: int = 7199
    loopback: str = "127.0.0.1"
    heap_mib: int = 192
    ring_delay_ms: int = 2000
    """How long it tries to meet the seeds, and waits for the ring to settle. Cassandra's own default is 30000; 250 is
    too short."""
    trust_algorithm: str = ""
    """Java's TrustManagerFactory and KeyManagerFactory; empty for Java's own default."""

    @property
    def conf_dir(self) -> Path:
        """Files rendered at each start, and the management password. Private (0700)."""
        return self.data_dir / "conf"

    @property
    def yaml_path(self) -> Path:
        """cassandra.yaml, as the node reads it and an administrator may edit it."""
        return self.conf_dir / "cassandra.yaml"

    @property
    def rendered_path(self) -> Path:
        """cassandra.yaml as Hostward last made it, before any edit: what edits are told from."""
        return self.conf_dir / "cassandra.rendered.yaml"

    @property
    def storage_dir(self) -> Path:
        """Cassandra's own data, commit log and hints: what is removed to start again as a new node."""
        return self.data_dir / "storage"

    @property
    def log_path(self) -> Path:
        """Cassandra's log."""
        return self.log_dir / "cassandra.log"

    @property
    def console_path(self) -> Path:
        """What the JVM itself printed since its last start."""
        return self.log_dir / "cassandra-console.log"

    @property
    def pid_path(self) -> Path:
        """Process id and start time of the JVM, for finding one that outlived its server."""
        return self.data_dir / "node.pid"

    @property
    def truststore_path(self) -> Path:
        """The internode certificates that this node trusts, as PEM."""
        return self.conf_dir / "truststore.pem"

    @property
    def password_path(self) -> Path:
        """The password of Jolokia and JMX, made at the first start."""
        return self.conf_dir / "management.password"

    @property
    def jmx_password_path(self) -> Path:
        """The same with the user's name, as JMX and nodetool's -pwf read it."""
        return self.conf_dir / "jmx.password"

    @property
    def own_seed(self) -> str:
        """This node as others list it among their seeds."""
        return f"{self.listen_address}:{self.storage_port}"
