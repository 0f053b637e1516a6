"""`python -m service demo`: everything on this machine, and an agent to watch."""
