"""The embedded registry: group.db (replicated) and server.db (this server's alone).

group.py     the replicated file: commit, apply, replace, read; one writer thread
reading.py   a consistent view: elements, sessions, changes
writing.py   operations into rows    sessions.py  the derived table that searches use
content.py   the whole content as one value: snapshots, backups
past.py      what the kept changes did: counts, elements touched, what they were before
backups.py   copies of the whole file, the newest of each kind
server.py    this server's own file  schema.py    tables, opening, what SQLite's errors mean   lock.py
"""
