"""What is said when a framework's library is not installed."""


def missing_extra(extra: str, error: ImportError) -> ImportError:
    """Return the error that names what to install."""
    text = f"{error}; install it with: pip install 'event-service[{extra}]'"
    return ImportError(text, name=error.name)
