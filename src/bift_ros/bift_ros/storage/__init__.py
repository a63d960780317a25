"""Content-addressed storage: CIDs, the embedded block store and its gateway."""
