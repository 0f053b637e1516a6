"""What the service does: publish, dispatch, confirm, redeliver. Knows ports only."""
