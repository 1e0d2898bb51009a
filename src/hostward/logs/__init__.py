"""The log files in <data_dir>/logs: writing this server's own, and reading it and the database's. (What was done by
whom is another matter: the audit log.)"""
