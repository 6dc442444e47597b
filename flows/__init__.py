"""Prefect flows, one a file: orchestration only. What a step does is in weighbridge, how it is a task in tasks."""
