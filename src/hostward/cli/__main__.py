"""`python -m hostward.cli` is `hostward`."""

from hostward.cli import main

main()
