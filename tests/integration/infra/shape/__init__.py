"""Holds what infra renders against Google's own descriptions of its APIs."""
