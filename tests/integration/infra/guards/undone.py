"""For every guard, how the right answer is undone. A guard that stays quiet is none."""

from dataclasses import replace

from infra.render.graph import Graph
from tests.integration.infra.guards.change import (
    Change,
    adds,
    drops,
    forgets,
    opts,
    removes,
    rewrites,
    sets,
)
from tests.integration.infra.guards.kinds import (
    ALERT,
    API,
    BACKEND,
    CACHE,
    CACHE_POLICY,
    DASHBOARD,
    DATABASE_INSTANCE,
    DATABASE_USER,
    ENDPOINTS,
    FIREWALL,
    LOG_METRIC,
    PEERING,
    PROJECT_MEMBER,
    PROVIDER,
    REGISTRY,
    SECRET,
    SECRET_READER,
    SERVICE,
    SLO,
    SSL_POLICY,
    SUBNET,
    UPTIME,
    URL_MAP,
)

_APP, _SIDECAR = "template.containers[0]", "template.containers[1]"
_QUERY = "conditions[0].conditionPrometheusQueryLanguage"
_IP = "settings.ipConfiguration"
_LATEST: Change = sets(
    SERVICE,
    "traffics",
    [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}],
)


def _twice(graph: Graph) -> Graph:
    return replace(graph, resources=(*graph.resources, graph.resources[-1]))


def _without_output(graph: Graph) -> Graph:
    left = {k: v for k, v in graph.outputs.items() if k != "migrationJob"}
    return replace(graph, outputs=left)


def _encrypted(graph: Graph) -> Graph:
    return replace(graph, secret_config=("event-service:authSecret",))


# In prod, which has everything.
UNDONE: dict[str, tuple[Change, ...]] = {
    "traffic_is_never_declared": (
        _LATEST,
        opts(SERVICE, ignore_changes=("client", "traffics")),
    ),
    "only_the_last_writer_is_ignored": (
        opts(SERVICE, ignore_changes=("template.containers[0].image",)),
        opts(SERVICE, ignore_changes=()),
    ),
    "reaches_private_addresses_directly": (
        drops(SERVICE, "template.vpcAccess"),
        sets(SERVICE, "template.vpcAccess.egress", "ALL_TRAFFIC"),
        sets(SERVICE, "template.vpcAccess.connector", "staging-connector"),
    ),
    "starts_when_ready_and_restarts_when_dead": (
        sets(SERVICE, f"{_APP}.startupProbe.failureThreshold", 3),
        sets(SERVICE, f"{_APP}.livenessProbe.httpGet.path", "/health/ready"),
        sets(SERVICE, f"{_APP}.livenessProbe.timeoutSeconds", 10),
        drops(SERVICE, f"{_APP}.startupProbe"),
        sets(SERVICE, f"{_APP}.readinessProbe", {"httpGet": {"path": "/"}}),
    ),
    "works_while_nobody_asks": (
        drops(SERVICE, f"{_APP}.resources.cpuIdle"),
        sets(SERVICE, f"{_SIDECAR}.resources.cpuIdle", value=True),
        sets(SERVICE, "scaling.minInstanceCount", 0),
        sets(SERVICE, "template.scaling", {"minInstanceCount": 1}),
    ),
    "a_socket_lives_as_long_as_the_service_says": (
        sets(SERVICE, "template.timeout", "3600s"),
        drops(SERVICE, f"{_APP}.envs"),
        sets(SERVICE, f"{_APP}.ports.name", "h2c"),
    ),
    "nothing_keeps_a_client_on_a_revision": (
        sets(SERVICE, "template.sessionAffinity", value=True),
        sets(BACKEND, "sessionAffinity", "GENERATED_COOKIE"),
    ),
    "anybody_may_call_and_the_service_checks": (
        drops(SERVICE, "invokerIamDisabled"),
        sets(SERVICE, "ingress", "INGRESS_TRAFFIC_ALL"),
        drops(SERVICE, "defaultUriDisabled"),
    ),
    "secrets_are_numbers_and_readable_before": (
        sets(
            SERVICE,
            f"{_APP}.envs",
            [{"name": "A", "valueSource": {"secretKeyRef": {"version": "latest"}}}],
        ),
        forgets(SECRET_READER),
    ),
    "no_secret_value_passes_through": (
        adds("gcp:secretmanager/secretVersion:SecretVersion"),
        opts(SECRET, secrets=("labels",)),
        _encrypted,
    ),
    "everything_has_an_account_of_its_own": (
        drops(SERVICE, "template.serviceAccount"),
        sets(
            SERVICE,
            "template.serviceAccount",
            "1-compute@developer.gserviceaccount.com",
        ),
    ),
    "the_collector_is_pinned_limited_and_outlives_the_app": (
        drops(SERVICE, f"{_SIDECAR}.dependsOns"),
        drops(SERVICE, f"{_SIDECAR}.resources.limits"),
        removes(PROJECT_MEMBER),
        forgets(PROJECT_MEMBER),
    ),
    "what_runs_is_named_by_digest": (
        sets(SERVICE, f"{_SIDECAR}.image", "gmp-sidecar:latest"),
    ),
    "memory_fits_the_processors": (
        sets(SERVICE, f"{_APP}.resources.limits.memory", "32Gi"),
        sets(SERVICE, f"{_APP}.resources.limits.memory", "512Mi"),
    ),
    "launch_stage_is_unset": (sets(SERVICE, "launchStage", "BETA"),),
    "no_database_volume": (
        sets(SERVICE, "template.volumes", [{"name": "sql", "cloudSqlInstance": {}}]),
    ),
    "the_database_is_ready_before_the_service": (
        forgets(DATABASE_USER),
        forgets(PROJECT_MEMBER),
    ),
    "the_migration_owns_and_the_service_uses": (
        sets(SERVICE, f"{_APP}.image", "another@sha256:" + "c" * 64),
    ),
    "the_peering_can_be_taken_down_where_it_may": (
        sets(PEERING, "deletionPolicy", "ABANDON"),
        drops(PEERING, "deletionPolicy"),
    ),
    "the_database_waits_for_the_peering": (forgets(PEERING),),
    "the_database_can_be_replaced": (sets(DATABASE_INSTANCE, "name", "events"),),
    "the_subnet_has_room": (sets(SUBNET, "ipCidrRange", "10.30.0.0/28"),),
    "google_is_reached_without_a_gateway": (
        drops(SUBNET, "privateIpGoogleAccess"),
        adds("gcp:compute/routerNat:RouterNat"),
    ),
    "prod_cannot_be_deleted_by_mistake": (
        drops(DATABASE_INSTANCE, "deletionProtection"),
        sets(DATABASE_INSTANCE, "settings.deletionProtectionEnabled", value=False),
        sets(SERVICE, "deletionProtection", value=False),
        opts(DATABASE_INSTANCE, protect=False),
        opts(SECRET, protect=False),
    ),
    "prod_survives_a_zone": (
        sets(DATABASE_INSTANCE, "settings.availabilityType", "ZONAL"),
        drops(DATABASE_INSTANCE, "settings.backupConfiguration"),
    ),
    "the_database_is_the_one_that_tests_run": (
        sets(DATABASE_INSTANCE, "databaseVersion", "POSTGRES_17"),
        drops(DATABASE_INSTANCE, "settings.edition"),
        sets(DATABASE_INSTANCE, "settings.tier", "db-custom-1-3840"),
    ),
    "the_database_is_private_and_encrypted": (
        sets(DATABASE_INSTANCE, f"{_IP}.ipv4Enabled", value=True),
        sets(DATABASE_INSTANCE, f"{_IP}.sslMode", "ALLOW_UNENCRYPTED_AND_ENCRYPTED"),
        sets(DATABASE_INSTANCE, f"{_IP}.authorizedNetworks", [{"value": "0.0.0.0/0"}]),
        sets(
            DATABASE_INSTANCE,
            "settings.databaseFlags",
            [{"name": "log_statement", "value": "all"}],
        ),
        sets(
            DATABASE_INSTANCE,
            "settings.databaseFlags",
            [{"name": "shared_buffers", "value": "262144"}],
        ),
    ),
    "nobody_has_a_database_password": (
        drops(DATABASE_INSTANCE, "settings.databaseFlags"),
        sets(DATABASE_USER, "password", "p"),
        sets(DATABASE_USER, "type", "BUILT_IN"),
        sets(DATABASE_USER, "name", "event-service-run@p.iam.gserviceaccount.com"),
        removes(PROJECT_MEMBER),
    ),
    "a_disk_that_grew_stays": (
        opts(DATABASE_INSTANCE, ignore_changes=()),
        opts(DATABASE_INSTANCE, ignore_changes=("settings.disk_size",)),
        drops(DATABASE_INSTANCE, "settings.diskAutoresizeLimit"),
    ),
    "the_cache_waits_for_its_addresses": (
        forgets(CACHE_POLICY),
        removes(CACHE_POLICY),
        sets(CACHE_POLICY, "serviceClass", "gcp-memorystore-redis"),
    ),
    "the_cache_is_encrypted_and_knows_who_asks": (
        sets(CACHE, "transitEncryptionMode", "TRANSIT_ENCRYPTION_DISABLED"),
        sets(CACHE, "authorizationMode", "AUTH_DISABLED"),
        sets(CACHE, "replicaCount", 0),
        sets(CACHE, "nodeType", "SHARED_CORE_NANO"),
        removes(PROJECT_MEMBER),
        removes(CACHE),
    ),
    "images_of_a_rollback_are_kept": (
        drops(REGISTRY, "cleanupPolicies"),
        sets(REGISTRY, "dockerConfig.immutableTags", value=False),
    ),
    "nothing_is_granted_to_everybody": (
        adds(
            "gcp:cloudrunv2/serviceIamMember:ServiceIamMember",
            role="roles/run.invoker",
            member="allUsers",
        ),
    ),
    "grants_are_narrow_and_to_accounts_of_our_own": (
        sets(PROJECT_MEMBER, "role", "roles/editor"),
        sets(
            PROJECT_MEMBER,
            "member",
            "serviceAccount:1-compute@developer.gserviceaccount.com",
        ),
        adds("gcp:projects/iAMBinding:IAMBinding", role="roles/run.viewer"),
    ),
    "only_this_repository_logs_in": (
        drops(PROVIDER, "attributeCondition"),
        rewrites(PROVIDER, "attributeCondition", "repository_id ==", "repository !="),
        rewrites(PROVIDER, "attributeCondition", "assertion.ref ==", "true ||"),
        sets(PROVIDER, "oidc.issuerUri", "https://example.com"),
    ),
    "each_job_of_the_pipelines_has_its_own_account": (
        rewrites(
            "gcp:serviceaccount/iAMMember:IAMMember",
            "member",
            "/attribute.environment/",
            "/*",
        ),
        removes("gcp:serviceaccount/account:Account"),
    ),
    "releasing_touches_one_service": (
        adds(
            PROJECT_MEMBER,
            role="roles/run.admin",
            member="serviceAccount:event-service-release@p.iam.gserviceaccount.com",
        ),
    ),
    "apis_come_first_and_stay": (
        sets(API, "disableOnDestroy", value=True),
        drops(API, "disableOnDestroy"),
        forgets(API),
        removes(API),
    ),
    "prod_has_an_edge_and_staging_none": (
        removes(FIREWALL),
        drops(BACKEND, "securityPolicy"),
    ),
    "the_platform_alone_ends_sockets": (
        sets(BACKEND, "timeoutSec", 86_400),
        sets(BACKEND, "protocol", "HTTP2"),
        sets(BACKEND, "healthChecks", "check"),
    ),
    "the_firewall_leaves_sockets_alone": (
        sets(
            FIREWALL,
            "rules",
            [
                {
                    "action": "deny(403)",
                    "priority": 1,
                    "match": {
                        "expr": {"expression": "evaluatePreconfiguredWaf('sqli')"}
                    },
                }
            ],
        ),
        sets(FIREWALL, "rules", [{"action": "rate_based_ban", "priority": 1}]),
        sets(FIREWALL, "rules", [{"action": "throttle", "priority": 1}]),
    ),
    "the_firewall_says_what_google_takes": (
        sets(
            FIREWALL,
            "rules",
            [
                {
                    "priority": 2_147_483_647,
                    "match": {"expr": {"expression": "request.path in ['/a']"}},
                }
            ],
        ),
        sets(FIREWALL, "rules", []),
    ),
    "only_operators_see_the_candidate": (
        drops(ENDPOINTS, "cloudRun.tag"),
        drops(URL_MAP, "hostRules"),
        sets(FIREWALL, "rules", [{"action": "allow", "priority": 2_147_483_647}]),
    ),
    "the_edge_speaks_modern_tls_only": (
        sets(SSL_POLICY, "minTlsVersion", "TLS_1_0"),
        drops(URL_MAP, "defaultUrlRedirect"),
    ),
    "the_edge_waits_for_the_service": (forgets(SERVICE),),
    "alerts_may_come_before_their_metrics": (
        drops(ALERT, f"{_QUERY}.disableMetricValidation"),
        sets(ALERT, "conditions", [{"conditionThreshold": {}}]),
        removes(ALERT),
    ),
    "rules_are_what_monitoring_evaluates": (
        sets(ALERT, f"{_QUERY}.evaluationInterval", "45s"),
        sets(ALERT, f"{_QUERY}.alertRule", "fast burn"),
        sets(ALERT, "conditions", []),
    ),
    "queries_parse": (
        sets(ALERT, f"{_QUERY}.query", "sum(rate(published_total[5m])"),
        sets(ALERT, f"{_QUERY}.query", "rate(published_total)"),
        sets(ALERT, f"{_QUERY}.query", 'rate({"run.googleapis.com/x"}[5m]) > 1'),
    ),
    "every_alert_brings_its_runbook_and_somebody_hears_it": (
        drops(ALERT, "documentation"),
        sets(ALERT, "notificationChannels", []),
        sets(ALERT, "documentation.content", "x" * 8_001),
        sets(ALERT, "severity", "WARNING"),
    ),
    "log_metrics_come_before_their_alerts": (
        forgets(LOG_METRIC),
        removes(LOG_METRIC),
    ),
    "objectives_are_what_monitoring_takes": (
        sets(SLO, "goal", 0.9995),
        removes(SLO),
    ),
    "the_world_is_asked_whether_it_sees_us": (
        removes(UPTIME),
        sets(UPTIME, "httpCheck.validateSsl", value=False),
        sets(UPTIME, "selectedRegions", ["EUROPE"]),
    ),
    "the_dashboard_is_a_document": (
        sets(DASHBOARD, "dashboardJson", "{}"),
        removes(DASHBOARD),
    ),
    "nothing_is_declared_twice": (_twice,),
    "every_output_of_the_cloud_is_known_to_the_render": (
        opts(SERVICE, unknowns=("template.serviceAccount",)),
    ),
    "children_are_named_after_their_component": (
        opts(SERVICE, parent=""),
        opts(SERVICE, name="service"),
        opts("eventservice:infra:Database", type="pkg:index:Database"),
    ),
    "every_output_is_there": (_without_output,),
    "the_service_is_told_all_it_must_know": (
        drops(SERVICE, f"{_APP}.envs"),
        sets(SERVICE, f"{_APP}.envs[0].name", "DATABASE_PORT"),
        sets(SERVICE, f"{_APP}.envs[0].name", "PORT"),
    ),
    "resources_say_whose_they_are": (drops(REGISTRY, "labels"),),
    "the_provider_is_one_version": (opts(SERVICE, version="9.0.0"),),
}
