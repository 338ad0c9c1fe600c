"""A job as one page that opens anywhere: what is on it, and its HTML. Pure functions; any thread."""
