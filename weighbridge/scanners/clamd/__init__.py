"""ClamAV's daemon: its protocol (connection), a private one (daemon), and its signatures (database).

Not here: the meaning of its answers for a model (scanners.clamav).
"""
