"""The user's files and settings: environment variables, models.yaml, policy.yaml, models.lock."""
