"""MLflow's tracking server over its documented REST API."""
