"""Delivery and the session protocol as values: no clock, socket, loop or logging."""
