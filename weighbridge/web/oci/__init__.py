"""The OCI registry: what passed, for `ollama pull`, oras, skopeo, crane and other clients of `/v2/`."""
