"""The project's own performance benchmarks: Weighbridge against the tools a user would otherwise take.

`make bench` runs everything side by side in one run and prints one table. Nothing here is asserted in tests.
"""
