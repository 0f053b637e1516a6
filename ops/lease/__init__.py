"""What lies in the state bucket: the lease, and what was decided about traffic."""
