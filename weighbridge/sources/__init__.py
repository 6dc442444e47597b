"""The sources models come from: one adapter a file, one line here."""
