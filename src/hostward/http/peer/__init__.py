"""The servers' conversation under /<context>/peer/."""
