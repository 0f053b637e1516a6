"""TLS with one authority only: that of a database or cache of our own.

A managed instance has an authority of its own, which signs the certificate of that
instance and nothing else, and whose certificates name the instance rather than the
private address that we connect to (Cloud SQL: `GOOGLE_MANAGED_INTERNAL_CA`, the
default). So the name is not checked: whom this authority signed can be nobody else.
That is no longer true of an authority that many instances share.
"""

import ssl


def trusting(authority: str, *, check_name: bool = False) -> ssl.SSLContext:
    """Return what takes servers that this authority signed, and no others.

    Not `ssl.create_default_context`, which trusts the system's authorities, too: with
    the name unchecked anybody with a certificate of the public web could answer.

    Args:
        authority: Its certificates, as PEM text.
        check_name: Whether the certificate must name the host, too.

    Raises:
        ValueError: there is no certificate in the text.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = check_name
    context.load_verify_locations(cadata=authority)
    return context
