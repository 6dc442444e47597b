"""Talking to ClamAV's daemon: its protocol (connection), a private one (daemon), and its signatures (database).

Not here: what its answers mean for a model (scanners.clamav).
"""
