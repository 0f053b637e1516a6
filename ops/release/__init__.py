"""Decisions about traffic: pure, from what was read to what is to be written."""
