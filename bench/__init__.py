"""Measurements of the service beside a peer; see README.md."""
