"""The result of a run: what came out, merged and mended again, looked at as a table."""
