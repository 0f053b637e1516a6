"""Logs and metrics under the names of `service.contract`."""
