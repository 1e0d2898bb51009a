"""The panels, a module each. Handlers read a form, call a command, and render what it answers."""
