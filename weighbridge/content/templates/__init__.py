"""Templates: Jinja programs of the publisher's that chat tools, prompt libraries and evaluation harnesses render.

Each is parsed to a tree and followed, never rendered.
"""
