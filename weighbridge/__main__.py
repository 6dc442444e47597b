"""`python -m weighbridge`: the command line."""

from weighbridge.cli.app import main

main()
