"""Git repositories through the `git` program, and Git LFS."""
