"""OCI registries over the API of the distribution specification."""
