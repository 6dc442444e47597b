"""The project's own performance benchmarks: Weighbridge against the tools a user would otherwise take.

`make bench` runs all contestants in one run and prints one table. Tests assert nothing of this.
"""
