"""What Weighbridge asks of the operating system: child processes, whole files, and folders that a process claims."""
