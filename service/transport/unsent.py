"""How much the kernel takes for a client that does not read."""

import socket

# With the transport's own 64 KiB well below a window: whoever stops reading is noticed.
UNSENT_BYTES = 64 * 1024


def keep_little_unsent(listener: socket.socket) -> None:
    """Let the kernel take little more than what it can send, on every connection.

    By itself it takes up to 4 MiB, so a whole window: writing to a client that is stuck
    would never block, and nobody would see that it is. What is on its way and was not
    acknowledged does not count, so that fast lines stay fast. Connections inherit it
    from the listener. Where the system has no such option, nothing is done.
    """
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    if option is not None and listener.family in (socket.AF_INET, socket.AF_INET6):
        listener.setsockopt(socket.IPPROTO_TCP, option, UNSENT_BYTES)
