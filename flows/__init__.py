"""Prefect flows, one a file: orchestration only. The work of a step is in weighbridge, its task in tasks."""
