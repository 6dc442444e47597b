"""The work: the steps that take a model in, and the order in which they run."""
