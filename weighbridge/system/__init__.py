"""What Weighbridge asks of the operating system: child processes, and folders that a process claims."""
