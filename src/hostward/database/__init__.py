"""The replication database: install, configure, run and query Apache Cassandra, and the log stores on it."""
