"""Rules about what is stored: the database, the cache, secrets."""

from collections.abc import Iterator

from infra.policy.rule import Rule, Shown

DATABASE = "gcp:sql/databaseInstance:DatabaseInstance"
CACHE = "gcp:memorystore/instance:Instance"
SECRET_VERSION = "gcp:secretmanager/secretVersion:SecretVersion"  # noqa: S105 -- a type
_USER = "gcp:sql/user:User"
_ENCRYPTED = ("ENCRYPTED_ONLY", "TRUSTED_CLIENT_CERTIFICATE_REQUIRED")


def _private(shown: Shown) -> Iterator[str]:
    addresses = "settings.ipConfiguration"
    if shown.at(f"{addresses}.ipv4Enabled") is not False:
        yield "ipv4Enabled must be false, in so many words"
    if shown.at(f"{addresses}.privateNetwork") is None:
        yield "has no private network"
    for network in shown.mappings(f"{addresses}.authorizedNetworks"):
        yield f"authorizes the network {network.get('value')!r}"


def _encrypted(shown: Shown) -> Iterator[str]:
    mode = shown.at("settings.ipConfiguration.sslMode")
    if mode not in _ENCRYPTED:
        yield f"sslMode is {mode!r}, not {_ENCRYPTED[0]!r}"


def _no_passwords(shown: Shown) -> Iterator[str]:
    kind = shown.at("type")
    if not str(kind).startswith("CLOUD_IAM_"):
        yield f"type is {kind!r}: users come by IAM"
    if shown.at("password") is not None:
        yield "has a password, which the state would keep"


def _logs_no_statements(shown: Shown) -> Iterator[str]:
    for flag in shown.mappings("settings.databaseFlags"):
        if flag.get("name") == "log_statement" and flag.get("value") != "none":
            yield "log_statement writes users' data into the log"


def _cache_closed(shown: Shown) -> Iterator[str]:
    for key, wanted in (
        ("transitEncryptionMode", "SERVER_AUTHENTICATION"),
        ("authorizationMode", "IAM_AUTH"),
    ):
        if shown.at(key) != wanted:
            yield f"{key} is {shown.at(key)!r}, not {wanted!r}"


def _not_by_pulumi(shown: Shown) -> Iterator[str]:
    yield f"{shown.type} puts a secret's value into the state; ops adds versions"


RULES = (
    Rule(
        name="database-private",
        promise="The database has no public address.",
        types=(DATABASE,),
        faults=_private,
    ),
    Rule(
        name="database-encrypted",
        promise="The database refuses connections without TLS.",
        types=(DATABASE,),
        faults=_encrypted,
    ),
    Rule(
        name="database-users-by-iam",
        promise="No database user has a password.",
        types=(_USER,),
        faults=_no_passwords,
    ),
    Rule(
        name="database-logs-no-statements",
        promise="Users' data stays out of the log.",
        types=(DATABASE,),
        faults=_logs_no_statements,
    ),
    Rule(
        name="cache-closed",
        promise="The cache wants TLS and an identity.",
        types=(CACHE,),
        faults=_cache_closed,
    ),
    Rule(
        name="secret-values-outside",
        promise="A secret's value never enters Pulumi.",
        types=(SECRET_VERSION, "gcp:secretmanager/regionalSecretVersion:*"),
        faults=_not_by_pulumi,
    ),
)
