"""Credentials for Python package indexes."""

from __future__ import annotations

from blocks.credentials import HostCredentials


class IndexCredentials(HostCredentials):
    """A token, or user and password, for a Python package index.

    Example:
        >>> from blocks import IndexCredentials
        >>> auth = IndexCredentials.load("company-index").get_auth()
    """

    _block_type_name = "Index Credentials"
    _block_type_slug = "index-credentials"
    _description = "A token, or user and password, for a Python package index."
