"""What a command acts on, as values: a place, its traffic, what was decided."""
