"""What must hold of every rendered graph: functions that name what breaks it."""
