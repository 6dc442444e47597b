"""Benchmarks: versioned ways to measure a model. One adapter a file; see interface.py."""
