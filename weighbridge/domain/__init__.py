"""Values and pure rules of the field. No input or output; it imports errors only."""
