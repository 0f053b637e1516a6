"""One stack as a whole: which component gets what of which."""

from infra.program.declare import declare, up

__all__ = ["declare", "up"]
