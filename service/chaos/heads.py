"""The head of an HTTP request, changed as if its client had come directly."""


def is_upgraded(head: bytes) -> bool:
    """Whether a response's head says that frames follow."""
    return head.startswith(b"HTTP/1.1 101")


def asks_upgrade(head: bytes) -> bool:
    """Whether a request's head asks for a WebSocket."""
    lines = head.lower().split(b"\r\n")
    return any(line.startswith(b"upgrade:") and b"websocket" in line for line in lines)


def seen_as(head: bytes, *, here: str, there: str) -> bytes:
    """Return a request's head as if its client had come to `there` directly.

    Host, and an Origin that names `here`, change, so that allow-lists hold. A
    connection carries one request only: the heads of later ones would pass unseen.
    """
    first, *lines = head.split(b"\r\n")
    kept = [_line(line, here.encode(), there.encode()) for line in lines]
    if not asks_upgrade(head):
        kept = [line for line in kept if not line.lower().startswith(b"connection:")]
        kept.insert(0, b"Connection: close")
    return b"\r\n".join([first, *kept])


def _line(line: bytes, here: bytes, there: bytes) -> bytes:
    name, _, value = line.partition(b":")
    if name.lower() == b"host" and value.strip() == here:
        return b"Host: " + there
    if name.lower() == b"origin" and value.strip().endswith(b"//" + here):
        return line.replace(here, there)
    return line
