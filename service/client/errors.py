"""What the Python client raises, and what a handler may raise.

::

    Exception
    ├── ClientStoppedError   the client gave up; `code` is the close code
    └── RefusedError         raised by a handler: never send this event again
"""


class ClientStoppedError(Exception):
    """The client has stopped and will not connect again."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{reason} ({code})")
        self.code = code
        self.reason = reason


class RefusedError(Exception):
    """Raise it in a handler to refuse an event for good.

    The event becomes a dead letter if every device that holds it refuses it so.
    Any other exception asks for redelivery.
    """
