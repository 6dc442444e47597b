"""Handlers: they load a model that passed and run it. One adapter a file; see interface.py."""
