"""Signing of what this installation decided: its key, the keys that it trusts, and envelopes.

Not here: what is signed (domain.attestations), and the keys of bundles (config.bundle_keys).
"""
