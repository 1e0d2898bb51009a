"""Measures Hostward beside raw Cassandra, on this machine, in the same run: `python -m bench`, or `make bench`.

    __main__.py   the command line; rounds alternate between the two
    ours.py       a round of this product: three servers, through their public API, as a client sees them
    peer.py       a round of raw Cassandra: the same three nodes with the product's own settings, without the product
    alone.py      a server by itself: start and memory
    load.py       the clients, each in a process of its own (apart.py), over the cheapest HTTP there is (wire.py)
    servers.py    processes of this product         nodes.py   processes of raw Cassandra
    report.py     goals, medians, table             machine.py what it ran on
    notes.md      written by hand: why a goal is missed; it becomes part of results.md

It reports and asserts nothing. Everything has a deadline, everything it starts it also ends.
"""
