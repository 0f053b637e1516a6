"""One module per command: read, then report."""
