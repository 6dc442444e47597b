"""`python -m weighbridge`: the command line."""

from weighbridge.cli import main

main()
