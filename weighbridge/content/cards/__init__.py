"""The model card: what a model is, read from its files' headers."""
