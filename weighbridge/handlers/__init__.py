"""Handlers: they load a model that passed and do its work. One adapter a file; see interface.py."""
