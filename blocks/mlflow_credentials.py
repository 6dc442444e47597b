"""Credentials for MLflow servers that models come from; `MLflowServer` is the server for publishing."""

from __future__ import annotations

from blocks.credentials import HostCredentials


class MLflowCredentials(HostCredentials):
    """A token, or user and password, for an MLflow server that models come from.

    Example:
        >>> from blocks import MLflowCredentials
        >>> auth = MLflowCredentials.load("team").get_auth()
    """

    _block_type_name = "MLflow Credentials"
    _block_type_slug = "mlflow-credentials"
    _description = "A token, or user and password, for an MLflow server that models come from."
