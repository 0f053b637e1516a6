"""Events of AI agents, kept until the user's own client confirms them."""

__version__ = "0.1.0"
