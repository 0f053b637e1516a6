"""What an agent holds: the bridge to its user, the dispatcher of its tools."""
