"""Authorities of single instances, as managed databases and caches have them."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

# No host is called so: the certificate names the instance, not its address.
INSTANCE = "project:instance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """An authority (`authority`: PEM text) and the one server that it signed."""

    authority: str
    certificate_file: Path
    key_file: Path
    authority_file: Path


def new_identity(folder: Path, *, host: str | None = None) -> Identity:
    """Make an authority and its server's certificate; `host`: a DNS name in that."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = _name(f"{INSTANCE} authority")
    authority = _sign(authority_name, authority_name, authority_key, authority_key)
    key = ec.generate_private_key(ec.SECP256R1())
    server = _sign(_name(INSTANCE), authority_name, key, authority_key, host=host)
    folder.mkdir(parents=True, exist_ok=True)
    certificate_file = folder / "server.pem"
    certificate_file.write_bytes(_pem(server))
    key_file = folder / "server-key.pem"
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    authority_file = folder / "authority.pem"
    authority_file.write_bytes(_pem(authority))
    return Identity(
        authority=_pem(authority).decode(),
        certificate_file=certificate_file,
        key_file=key_file,
        authority_file=authority_file,
    )


def _sign(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    host: str | None = None,
) -> x509.Certificate:
    now = datetime.fromtimestamp(time.time(), UTC)
    draft = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.BasicConstraints(ca=subject == issuer, path_length=None), critical=True
        )
    )
    if host is not None:
        names = x509.SubjectAlternativeName([x509.DNSName(host)])
        draft = draft.add_extension(names, critical=False)
    return draft.sign(issuer_key, hashes.SHA256())


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
