"""The command line: a client of the REST API, plus serve, demo and nodetool."""
