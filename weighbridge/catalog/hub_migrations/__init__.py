"""The steps of the schema of the Hub's catalogue, applied by `Database.upgrade`; a released step is never changed."""
