"""Renders what a stack would ask of the cloud: no cloud, no account, no CLI."""
