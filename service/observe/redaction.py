"""What looks like a credential, and its removal: the last line of defence.

Nothing should put a secret into a log line or an event; what does so all the same is
hidden here, by the name of its field or by its own look.
"""

import itertools
import re

REDACTED = "[redacted]"

_SECRET_WORDS = frozenset(
    [
        "apikey",
        "authorization",
        "bearer",
        "cookie",
        "cookies",
        "credential",
        "credentials",
        "jwt",
        "passphrase",
        "passwd",
        "password",
        "passwords",
        "pwd",
        "secret",
        "secrets",
        "token",
    ]
)
_SECRET_PAIRS = frozenset(
    {("api", "key"), ("access", "key"), ("private", "key"), ("signing", "key")}
)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
# Every repeat is bounded or possessive: hostile text must not hold the event loop.
_SECRET_TEXT = re.compile(
    r"""
      (?P<keep>\b(?:bearer|basic)\s{1,8})[\w.~+/=-]{8,}+             # HTTP credentials
    | (?P<scheme>\b[a-z][a-z0-9+.-]{0,30}://[^\s/@:]{0,256}:)[^\s/@]{1,256}(?=@)
    | (?<![\w-])eyJ[\w-]{8,512}+\.[\w-]{8,4096}+\.[\w-]*+           # a JWT
    | -----BEGIN[ ][A-Z ]{0,40}PRIVATE[ ]KEY-----[^-]*+(?:-----END[ ][A-Z ]*-----)?
    """,
    re.VERBOSE | re.IGNORECASE,
)


def is_secret_name(name: str) -> bool:
    """Whether a value of this name is probably a secret (`api_key`, `authToken`)."""
    words = [word.lower() for word in _WORDS.findall(name)]
    return not _SECRET_WORDS.isdisjoint(words) or not _SECRET_PAIRS.isdisjoint(
        itertools.pairwise(words)
    )


def redact_text(text: str) -> str:
    """Hide credentials inside a text: HTTP, URL, JWT, private key."""
    return _SECRET_TEXT.sub(_keep_prefix, text)


def _keep_prefix(match: re.Match[str]) -> str:
    return (match["keep"] or match["scheme"] or "") + REDACTED
