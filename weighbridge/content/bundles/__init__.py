"""Bundles as files: a tar of an index, documents and blobs, compressed with Zstandard; written and read as streams."""
