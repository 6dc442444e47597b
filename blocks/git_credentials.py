"""Credentials for git repositories over http(s), with or without Git LFS."""

from __future__ import annotations

from blocks.credentials import HostCredentials


class GitCredentials(HostCredentials):
    """A token, or user and password, for a host of git repositories.

    Example:
        >>> from blocks import GitCredentials
        >>> auth = GitCredentials.load("company-git").get_auth()
    """

    _block_type_name = "Git Credentials"
    _block_type_slug = "git-credentials"
    _description = "A token, or user and password, for a host of git repositories."
