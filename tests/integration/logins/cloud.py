"""A database as in the cloud, and how its users come in."""

from dataclasses import dataclass
from urllib.parse import quote

from service.adapters.database_access import DatabaseAccess
from service.adapters.embedded_postgres import EmbeddedPostgres
from service.adapters.google_login import DATABASE_SCOPE, AccessTokens
from service.contract import Env
from tests.fakes.certificates import Identity
from tests.fakes.metadata_server import HOST, MetadataServer

# As the platform has them: nobody is superuser; this role owns the database.
ADMINISTRATORS = "cloudsqlsuperuser"
MIGRATOR = "event-service-migrate@project.iam"
RUNTIME = "event-service-run@project.iam"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudDatabase:
    """One database, behind TLS on `port`."""

    postgres: EmbeddedPostgres
    name: str
    port: int
    identity: Identity
    metadata: MetadataServer

    def take_only(self, token: str) -> None:
        """Let the server take this token from now on, and no other."""
        for role in (MIGRATOR, RUNTIME):
            self.postgres.sql(f"ALTER ROLE \"{role}\" PASSWORD '{token}'")

    def url(self, role: str) -> str:
        """Return the URL as the infrastructure writes it, without a password."""
        return f"postgresql://{quote(role, safe='')}@{HOST}:{self.port}/{self.name}"

    def access(self, role: str = RUNTIME) -> DatabaseAccess:
        """Return how a process of its own would come in."""
        return DatabaseAccess(
            url=self.url(role),
            authority=self.identity.authority,
            tokens=AccessTokens(self.metadata.host, scope=DATABASE_SCOPE),
        )

    def environment(self, role: str = RUNTIME) -> dict[str, str]:
        """Return the variables that a process of the service is given for it."""
        return {
            Env.DATABASE_URL: self.url(role),
            Env.DATABASE_LOGIN: "google",
            Env.DATABASE_CA: self.identity.authority,
            Env.METADATA_HOST: self.metadata.host,
        }

    def sql(self, statement: str) -> str:
        """Run a statement here as the server's superuser."""
        return self.postgres.sql(statement, database=self.name)
