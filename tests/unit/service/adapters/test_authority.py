"""What takes an authority of our own trusts nobody else."""

import ssl
from pathlib import Path

from service.adapters.authority import trusting
from tests.fakes.certificates import new_identity


def test_nobody_else_is_trusted(tmp_path: Path) -> None:
    """
    With the name unchecked, one of the system's authorities would let anybody in.
    """
    context = trusting(new_identity(tmp_path).authority)

    assert 1 == len(context.get_ca_certs())
    assert ssl.CERT_REQUIRED == context.verify_mode
    assert not context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
