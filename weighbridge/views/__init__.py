"""What a person reads: values drawn for a terminal, as markdown, or as a file. Nothing is decided here."""
