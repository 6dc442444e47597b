"""Weighbridge weighs every AI model on the way into an organisation.

The library behind the Prefect flows and the command line: everything that needs no Prefect. It never imports
prefect, flows, tasks or blocks.
"""

__version__ = "0.1.0"
