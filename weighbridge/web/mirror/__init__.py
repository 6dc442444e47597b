"""The mirror: what passed, for clients of the Hugging Face Hub, which need an `HF_ENDPOINT` and nothing else."""
