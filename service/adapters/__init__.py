"""What the service stands on: PostgreSQL, and the ways a wake-up travels."""
