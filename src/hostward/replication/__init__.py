"""Keeping servers the same. Here: the coordinator with its goals and state, Apply, and the one server of a group.

acts/             a goal is worked on          group/    who belongs to it, who may join
changelog/        a change reaches everybody   masters/  who is the Master
change_requests/  a change made on a Slave     peers/    what servers say to one another
ring/             the database's node          keys/     certificates and the passphrase change
doctor/           what is wrong, and the remedy
"""
