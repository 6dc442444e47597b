"""The scanners: one engine or family a file, one line here."""
