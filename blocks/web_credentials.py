"""Credentials for web servers, and for sources that other packages bring."""

from __future__ import annotations

from blocks.credentials import HostCredentials


class WebCredentials(HostCredentials):
    """A token, or user and password, for a web server.

    Example:
        >>> from blocks import WebCredentials
        >>> auth = WebCredentials.load("releases").get_auth()
    """

    _block_type_name = "Web Credentials"
    _block_type_slug = "web-credentials"
    _description = "A token, or user and password, for a web server."
