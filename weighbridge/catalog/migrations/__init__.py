"""The steps of the catalog's schema, applied by `Database.upgrade`; a released step is never changed."""
