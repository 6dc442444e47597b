"""The registries models are published to: one adapter a file, one line here."""
