"""The registry's REST API: one router a resource, over the catalog and the use cases of `intake`."""
