"""Plugins of pytest that this project needs."""
