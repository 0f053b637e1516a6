"""Key sets: each key has one algorithm, and doubtful ones are left out."""

import pytest

from service.errors import UnavailableError
from service.transport.auth.key_set import parse_key_set
from tests.fakes.token_kit import ec, ec384, ed, jwk, key_set, rsa

GOOD = jwk(ec("good"), kid="good")


@pytest.mark.parametrize(
    ("entry", "algorithm"),
    [
        (jwk(rsa()), "RS256"),
        (jwk(rsa(), alg="RS512"), "RS512"),
        (jwk(rsa(), alg="PS256"), "PS256"),
        (jwk(ec()), "ES256"),
        (jwk(ec(), alg="ES256", use="sig"), "ES256"),
        (jwk(ec384()), "ES384"),
        (jwk(ed()), "EdDSA"),
        (jwk(ed(), alg="Ed25519"), "EdDSA"),
        (jwk(ec(), key_ops=["verify"]), "ES256"),
    ],
    ids=lambda value: value if isinstance(value, str) else value["kty"],
)
def test_a_key_is_for_one_algorithm(entry: dict[str, object], algorithm: str) -> None:
    """
    The one that it names, or its type's usual one.
    """
    keys = parse_key_set(key_set(entry))

    assert [algorithm] == [key.algorithm for key in keys.every]


@pytest.mark.parametrize(
    "entry",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "x"},
        {"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"},
        jwk(rsa(), alg="HS256"),
        jwk(rsa(), alg="none"),
        jwk(rsa(), alg="ES256"),
        jwk(rsa(), alg=["RS256"]),
        jwk(rsa("small", 1_024)),
        jwk(ec(), alg="ES384"),
        jwk(ec(), crv="secp256k1"),
        jwk(ec(), crv=["P-256"]),
        jwk(ec(), x=None),
        jwk(ec(), x="!"),
        jwk(ec(), x=7),
        jwk(ed(), crv="X25519"),
        jwk(rsa(), use="enc"),
        jwk(rsa(), key_ops=["sign"]),
        jwk(rsa(), key_ops="verify"),
        jwk(rsa(), n=None),
        jwk(rsa(), d="AQAB"),
        jwk(rsa(), kty="DSA"),
        jwk(rsa(), kty=None),
        {},
        [],
        "key",
        None,
    ],
)
def test_a_doubtful_key_is_left_out(entry: object) -> None:
    """
    Shared secrets, private keys, weak keys, other uses: none is taken, and none
    takes the good one beside it away.
    """
    keys = parse_key_set(key_set(entry, GOOD))

    assert ["good"] == list(keys.by_kid)
    assert 1 == len(keys.every) == len(keys.left_out)
    with pytest.raises(UnavailableError):
        parse_key_set(key_set(entry))


def test_two_keys_with_one_name_are_both_left_out() -> None:
    """
    Which one a token meant could not be told.
    """
    keys = parse_key_set(key_set(jwk(ec(), kid="k"), jwk(rsa(), kid="k"), GOOD))

    assert ["good"] == list(keys.by_kid)
    assert 2 == len(keys.left_out)


def test_another_use_takes_no_name() -> None:
    """
    A key for encryption may have the name of one for signatures.
    """
    enc = jwk(rsa(), kid="k", use="enc")

    assert {"k"} == set(parse_key_set(key_set(enc, jwk(ec(), kid="k"))).by_kid)


def test_keys_without_names_are_told_apart() -> None:
    """
    What tells keys apart is what they are made of: RFC 7638's own example.
    """
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxu"
        "hDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN"
        "5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5"
        "hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBni"
        "Iqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    example = {"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256"}

    keys = parse_key_set(key_set(example, jwk(rsa())))

    assert 2 == len(keys.ids)
    assert "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" in keys.ids


@pytest.mark.parametrize(
    "document",
    [b"", b"no", b"[]", b"null", b'{"keys":7}', b'{"keys":[]}', b"{}", b"\xff",
     b"[" * 100_000],
    ids=lambda document: str(document[:12]),
)  # fmt: skip
def test_what_is_no_key_set(document: bytes) -> None:
    """
    A page, nonsense or an empty list never replaces the keys that are known.
    """
    with pytest.raises(UnavailableError, match="keys"):
        parse_key_set(document)
