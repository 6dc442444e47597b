"""Pickles, read and never loaded: their opcodes, where they hide, and what several engines say of them.

Not here: what a verdict leads to (domain.gate), or how archives are walked (archives).
"""
