"""A Google provider for Pulumi's engine whose cloud is a file.

It speaks the engine's own protocol; what it models of the real one is in
docs/testing.md.
"""
