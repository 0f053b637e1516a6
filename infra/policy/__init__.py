"""The policy pack: what no stack may do. A program of its own, run by the engine."""
