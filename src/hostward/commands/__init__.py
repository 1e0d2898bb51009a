"""What an administrator can do, one function for each act: check, decide, write, log, tell who has it.

A write of replicated configuration decides inside the registry's commit, against the very state that its change
follows. Nothing here knows HTTP.
"""
