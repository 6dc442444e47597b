"""Everything that reads hostile bytes: detection, headers, archives, pickles, unpacking, model cards."""
