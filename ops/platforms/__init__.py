"""Platforms that run the service, behind one port."""
