"""What runs at a user's desk, without a server and without a network: what is remembered there, which emulators are
installed and how they are started, packages unpacked and kept.

Whatever comes from a server is data to be checked here: a server that was broken into must not get a foothold on the
desks of all users. The commands are `cli/desk/`.
"""
