"""PostgreSQL, where the truth is, and who may log in to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import pulumi
from pulumi_gcp import projects, serviceaccount, sql

from infra.naming import DATABASE_NAME

_PORT = 5432
_DAYS_OF_LOGS = 7  # the most that this edition keeps; so far back can be restored
_DAYS_OF_FINAL_BACKUP = 30
_MOST_DISK_FACTOR = 10
_SUNDAY, _MORNING = 7, 4  # UTC
_BACKUP_START = "02:00"
_ROLES = ("roles/cloudsql.client", "roles/cloudsql.instanceUser")


@dataclass(frozen=True, kw_only=True)
class DatabaseArgs:
    """One database's size, and where it is reached."""

    project: str
    region: str
    network_id: pulumi.Input[str]
    # The range that the peering was given, so that no other one is taken.
    services_range: pulumi.Input[str]
    version: str
    tier: str
    availability: str
    disk_gb: int
    max_connections: int
    backups: int
    protected: bool
    runtime: serviceaccount.Account
    migrator: serviceaccount.Account
    labels: Mapping[str, str]
    after: Sequence[pulumi.Resource]


class Database(pulumi.ComponentResource):
    """A private PostgreSQL instance, the service's database in it, and two logins.

    It has no public address and takes no plain connection. Nobody has a password:
    both users log in with short-lived tokens of their accounts.
    """

    instance: sql.DatabaseInstance
    database: sql.Database
    runtime_user: sql.User
    migrator_user: sql.User

    def __init__(
        self, name: str, args: DatabaseArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("eventservice:infra:Database", name, {}, opts)
        self.instance = sql.DatabaseInstance(
            f"{name}-instance",
            database_version=args.version,
            region=args.region,
            deletion_protection=args.protected,
            settings=_settings(args),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=args.after,
                protect=args.protected,
                # It grows by itself; asking for the first size again would replace it.
                ignore_changes=["settings.diskSize"],
            ),
        )
        self.database = sql.Database(
            f"{name}-database",
            name=DATABASE_NAME,
            instance=self.instance.name,
            # The server refuses to drop what somebody has a session in; the instance
            # takes it along.
            deletion_policy="ABANDON",
            opts=pulumi.ResourceOptions(parent=self, protect=args.protected),
        )
        self.runtime_user = self._user(f"{name}-runtime", args.runtime)
        # It owns the tables and grants the other one what serving needs.
        self.migrator_user = self._user(
            f"{name}-migrator", args.migrator, roles=["cloudsqlsuperuser"]
        )
        for label, account in (
            ("runtime", args.runtime),
            ("migrator", args.migrator),
        ):
            self._grants(f"{name}-{label}", args.project, account)
        self.register_outputs(
            {"instance": self.instance.name, "database": self.database.name}
        )

    @property
    def authority(self) -> pulumi.Output[str]:
        """The certificates that the server's is signed by; all, while they rotate."""
        pem = self.instance.server_ca_certs.apply(
            lambda several: "\n".join(one.cert.strip() for one in several if one.cert)
        )
        # The provider hides it among keys; it is public and says who the server is.
        return pulumi.Output.unsecret(pem)

    def url(self, user: sql.User) -> pulumi.Output[str]:
        """Where and as whom to connect; no password is in it, and none exists."""
        return pulumi.Output.all(user.name, self.instance.private_ip_address).apply(
            lambda both: (
                f"postgresql://{quote(both[0], safe='')}@{both[1]}:{_PORT}"
                f"/{DATABASE_NAME}"
            )
        )

    def _user(
        self,
        name: str,
        account: serviceaccount.Account,
        *,
        roles: Sequence[str] = (),
    ) -> sql.User:
        return sql.User(
            f"{name}-user",
            instance=self.instance.name,
            type="CLOUD_IAM_SERVICE_ACCOUNT",
            # PostgreSQL's names are too short for the whole address.
            name=account.email.apply(
                lambda email: email.removesuffix(".gserviceaccount.com")
            ),
            database_roles=list(roles) or None,
            # One that owns or was granted anything cannot be dropped.
            deletion_policy="ABANDON",
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _grants(self, name: str, project: str, account: serviceaccount.Account) -> None:
        for role in _ROLES:
            projects.IAMMember(
                f"{name}-{role.rsplit('.', 1)[-1]}",
                project=project,
                role=role,
                member=account.member,
                opts=pulumi.ResourceOptions(parent=self),
            )


def _settings(args: DatabaseArgs) -> sql.DatabaseInstanceSettingsArgs:
    return sql.DatabaseInstanceSettingsArgs(
        tier=args.tier,
        edition="ENTERPRISE",
        availability_type=args.availability,
        activation_policy="ALWAYS",
        disk_type="PD_SSD",
        disk_size=args.disk_gb,
        disk_autoresize=True,
        disk_autoresize_limit=args.disk_gb * _MOST_DISK_FACTOR,
        deletion_protection_enabled=args.protected,
        retain_backups_on_delete=args.protected,
        final_backup_config=sql.DatabaseInstanceSettingsFinalBackupConfigArgs(
            enabled=args.protected,
            retention_days=_DAYS_OF_FINAL_BACKUP if args.protected else None,
        ),
        user_labels=dict(args.labels),
        database_flags=[
            sql.DatabaseInstanceSettingsDatabaseFlagArgs(name=flag, value=value)
            for flag, value in _flags(args).items()
        ],
        ip_configuration=sql.DatabaseInstanceSettingsIpConfigurationArgs(
            ipv4_enabled=False,
            private_network=args.network_id,
            allocated_ip_range=args.services_range,
            ssl_mode="ENCRYPTED_ONLY",
            server_ca_mode="GOOGLE_MANAGED_INTERNAL_CA",
        ),
        backup_configuration=_backups(args),
        maintenance_window=sql.DatabaseInstanceSettingsMaintenanceWindowArgs(
            # Staging takes a new version a week earlier.
            day=_SUNDAY,
            hour=_MORNING,
            update_track="stable" if args.protected else "canary",
        ),
        insights_config=sql.DatabaseInstanceSettingsInsightsConfigArgs(
            query_insights_enabled=True,
            query_string_length=1024,
            query_plans_per_minute=5,
            record_application_tags=False,
            record_client_address=False,
        ),
        password_validation_policy=_password_policy(),
    )


def _flags(args: DatabaseArgs) -> dict[str, str]:
    """Return PostgreSQL's flags; memory is sized by the service itself.

    None logs statements: they hold what users wrote. Query insights shows slow ones
    without their parameters.
    """
    return {
        "cloudsql.iam_authentication": "on",
        "max_connections": str(args.max_connections),
    }


def _backups(
    args: DatabaseArgs,
) -> sql.DatabaseInstanceSettingsBackupConfigurationArgs:
    return sql.DatabaseInstanceSettingsBackupConfigurationArgs(
        enabled=True,
        start_time=_BACKUP_START,
        point_in_time_recovery_enabled=True,
        transaction_log_retention_days=_DAYS_OF_LOGS,
        backup_retention_settings=(
            sql.DatabaseInstanceSettingsBackupConfigurationBackupRetentionSettingsArgs(
                retained_backups=args.backups, retention_unit="COUNT"
            )
        ),
    )


def _password_policy() -> sql.DatabaseInstanceSettingsPasswordValidationPolicyArgs:
    # For who is made by hand one night: the program's own users have none.
    return sql.DatabaseInstanceSettingsPasswordValidationPolicyArgs(
        enable_password_policy=True,
        min_length=16,
        complexity="COMPLEXITY_DEFAULT",
        disallow_username_substring=True,
        reuse_interval=5,
    )
