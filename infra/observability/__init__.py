"""What tells people: channels, alerts, objectives, uptime, dashboard, log metrics."""
