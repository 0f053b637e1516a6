"""A fault injector: what networks, nodes and dependencies do on a bad day, by seed."""
