"""What would notice each pitfall of docs/infrastructure.md, by its number.

A name is a guard of `guards/`, a rule of `infra/policy`, or a file with tests.
"""

from collections.abc import Mapping

HELD_BY: Mapping[int, tuple[str, ...]] = {
    1: (
        "the_peering_can_be_taken_down_where_it_may",
        "the_database_waits_for_the_peering",
        "tests/engine/test_up.py",
    ),
    2: ("the_database_can_be_replaced",),
    3: (
        "traffic_is_never_declared",
        "run-traffic-undeclared",
        "refresh-always",
        "tests/engine/test_traffic.py",
    ),
    4: (
        "tests/integration/ops/test_lock_run.py",
        "tests/engine/test_traffic.py",
    ),
    5: ("images_of_a_rollback_are_kept",),
    6: (
        "reaches_private_addresses_directly",
        "the_subnet_has_room",
        "run-vpc-access",
    ),
    7: ("google_is_reached_without_a_gateway",),
    8: (
        "prod_cannot_be_deleted_by_mistake",
        "prod-protected",
        "tests/engine/test_up.py",
    ),
    9: (
        "starts_when_ready_and_restarts_when_dead",
        "run-probes",
    ),
    10: (
        "works_while_nobody_asks",
        "run-cpu-always-allocated",
    ),
    11: (
        "a_socket_lives_as_long_as_the_service_says",
        "the_platform_alone_ends_sockets",
    ),
    12: (
        "nothing_keeps_a_client_on_a_revision",
        "run-no-session-affinity",
    ),
    13: (
        "anybody_may_call_and_the_service_checks",
        "nothing_is_granted_to_everybody",
    ),
    14: (
        "secrets_are_numbers_and_readable_before",
        "no_secret_value_passes_through",
        "run-secret-by-version",
    ),
    15: (
        "nobody_has_a_database_password",
        "the_migration_owns_and_the_service_uses",
        "database-users-by-iam",
    ),
    16: (
        "alerts_may_come_before_their_metrics",
        "log_metrics_come_before_their_alerts",
    ),
    17: (
        "rules_are_what_monitoring_evaluates",
        "queries_parse",
    ),
    18: ("objectives_are_what_monitoring_takes",),
    19: (
        "apis_come_first_and_stay",
        "apis-stay-on",
    ),
    20: (
        "everything_has_an_account_of_its_own",
        "run-own-account",
    ),
    21: (
        "tests/integration/infra/test_invariants.py",
        "tests/engine/test_up.py",
        "what_runs_is_named_by_digest",
    ),
    22: (
        "the_collector_is_pinned_limited_and_outlives_the_app",
        "run-limits",
    ),
    23: (
        "the_cache_waits_for_its_addresses",
        "the_cache_is_encrypted_and_knows_who_asks",
        "cache-closed",
    ),
    24: ("launch_stage_is_unset",),
    25: (
        "only_this_repository_logs_in",
        "each_job_of_the_pipelines_has_its_own_account",
        "access-federation-bound",
    ),
    26: ("no_database_volume",),
    27: ("a_disk_that_grew_stays",),
    28: (
        "traffic_is_never_declared",
        "tests/integration/ops/test_lock_run.py",
    ),
}
