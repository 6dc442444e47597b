"""Blobs on disk: content by its sha256, written while it is hashed, checked and mended."""
