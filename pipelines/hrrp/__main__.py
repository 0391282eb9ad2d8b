"""`python -m hrrp` is the command line."""

from hrrp.cli import main

main()
