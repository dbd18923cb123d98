import uuid

import django.db.models.deletion
import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models

import instances.fields

# What `istartswith` asks PostgreSQL for. SQLite's LIKE has no use for an index of this kind.
PREFIX_INDEXES = {
    "instance_name_begins": ("instances_instance", "name"),
    "organization_user_email_begins": ("instances_organizationuser", "email"),
    "interaction_subject_begins": ("instances_interaction", "subject"),
}


def create_prefix_indexes(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for name, (table, column) in PREFIX_INDEXES.items():
            schema_editor.execute(
                f"CREATE INDEX {name} ON {table} (UPPER({column}::text) text_pattern_ops)"
            )


def drop_prefix_indexes(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for name in PREFIX_INDEXES:
            schema_editor.execute(f"DROP INDEX {name}")


class Migration(migrations.Migration):
    # A database that has them all is where this migration leads to.
    replaces = [
        ("instances", "0001_initial"),
        ("instances", "0002_authorization_request_token_secret"),
        ("instances", "0003_refresh_and_due_work"),
        ("instances", "0004_process_beat"),
        ("instances", "0005_authorization_configuration"),
        ("instances", "0006_bulk_jobs_run_in_parallel"),
        ("instances", "0007_state_of_earlier_bulk_jobs"),
        ("instances", "0008_bulk_jobs_constraints"),
        ("instances", "0009_memberships_and_authorization_links"),
        ("instances", "0010_worker_beats"),
        ("instances", "0011_lists_that_scale"),
        ("instances", "0012_which_have_a_refresh_token"),
        ("instances", "0013_beginnings_are_searched_by"),
        ("instances", "0014_who_authorized_stays_known"),
        ("instances", "0015_dry_runs_begun"),
        ("instances", "0016_instance_place"),
    ]

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Organization",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("uid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("name", models.CharField(max_length=200, unique=True, verbose_name="name")),
                (
                    "platform_url",
                    models.URLField(
                        blank=True,
                        help_text="Empty: this program is the platform. Otherwise the remote platform's base URL.",
                        verbose_name="platform URL",
                    ),
                ),
                (
                    "secret_digest",
                    models.CharField(editable=False, max_length=64, null=True, unique=True),
                ),
                (
                    "secret",
                    instances.fields.SealedTextField(
                        blank=True,
                        default="",
                        digest_field="secret_digest",
                        editable=False,
                        verbose_name="organization secret",
                    ),
                ),
                (
                    "endpoint_overrides",
                    models.JSONField(
                        blank=True,
                        default=dict,
                        help_text='Other endpoints for this organization: {"element key": {"URL prefix": "replacement"}}.',
                        verbose_name="endpoint overrides",
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="created at")),
            ],
            options={
                "verbose_name": "organization",
                "verbose_name_plural": "organizations",
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="ProcessBeat",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("scheduler", "scheduler"), ("worker", "worker")],
                        max_length=20,
                        unique=True,
                    ),
                ),
                ("at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="Element",
            fields=[
                ("id", models.PositiveIntegerField(primary_key=True, serialize=False)),
                ("key", models.CharField(max_length=100, unique=True, verbose_name="key")),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                ("hub", models.CharField(db_index=True, max_length=50, verbose_name="hub")),
                (
                    "source",
                    models.CharField(
                        choices=[
                            ("shipped", "shipped with this program"),
                            ("own", "the operator's own"),
                        ],
                        max_length=10,
                        verbose_name="source",
                    ),
                ),
                ("is_active", models.BooleanField(default=True, verbose_name="active")),
                ("definition", models.JSONField(verbose_name="definition")),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="updated at")),
            ],
            options={
                "verbose_name": "element",
                "verbose_name_plural": "elements",
                "ordering": ["name", "key"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("source__in", ["shipped", "own"])),
                        name="element_source_known",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Instance",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("uid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                (
                    "authentication_type",
                    models.CharField(max_length=20, verbose_name="way of authentication"),
                ),
                (
                    "external_authentication",
                    models.CharField(
                        choices=[("none", "none"), ("initial", "tokens obtained elsewhere")],
                        default="none",
                        max_length=10,
                        verbose_name="external authentication",
                    ),
                ),
                (
                    "configuration",
                    models.JSONField(blank=True, default=dict, verbose_name="configuration"),
                ),
                (
                    "secret_configuration",
                    instances.fields.SealedJSONField(
                        blank=True,
                        default="",
                        digest_field="",
                        editable=False,
                        verbose_name="secret configuration",
                    ),
                ),
                (
                    "secret_keys",
                    models.JSONField(
                        blank=True, default=list, verbose_name="secret keys that are set"
                    ),
                ),
                (
                    "tokens",
                    instances.fields.SealedJSONField(
                        blank=True,
                        default="",
                        digest_field="",
                        editable=False,
                        verbose_name="tokens",
                    ),
                ),
                (
                    "has_refresh_token",
                    models.BooleanField(
                        editable=False, null=True, verbose_name="has a refresh token"
                    ),
                ),
                (
                    "expires_at",
                    models.DateTimeField(
                        blank=True, null=True, verbose_name="access token expires at"
                    ),
                ),
                (
                    "token_digest",
                    models.CharField(editable=False, max_length=64, null=True, unique=True),
                ),
                (
                    "token",
                    instances.fields.SealedTextField(
                        blank=True,
                        default="",
                        digest_field="token_digest",
                        editable=False,
                        verbose_name="Element token",
                    ),
                ),
                ("code_digest", models.CharField(blank=True, editable=False, max_length=64)),
                (
                    "remote_id",
                    models.BigIntegerField(
                        blank=True, null=True, verbose_name="id at the remote platform"
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("draft", "draft"),
                            ("awaiting_authorization", "awaiting authorization"),
                            ("provisioning", "provisioning"),
                            ("connected", "connected"),
                            ("failed", "failed"),
                            ("unknown", "unknown"),
                            ("needs_reauthorization", "needs reauthorization"),
                            ("deleting", "deleting"),
                        ],
                        default="draft",
                        editable=False,
                        max_length=25,
                        verbose_name="state",
                    ),
                ),
                (
                    "state_changed_at",
                    models.DateTimeField(auto_now_add=True, verbose_name="state changed at"),
                ),
                ("is_disabled", models.BooleanField(default=False, verbose_name="disabled")),
                (
                    "is_trace_logging",
                    models.BooleanField(default=False, verbose_name="trace logging"),
                ),
                ("cause", models.CharField(blank=True, max_length=50, verbose_name="cause")),
                ("cause_message", models.TextField(blank=True, verbose_name="cause in words")),
                ("tokens_version", models.PositiveIntegerField(default=0, editable=False)),
                (
                    "refresh_due_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="next refresh"),
                ),
                (
                    "refresh_started_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="refresh started at"),
                ),
                (
                    "refresh_failures",
                    models.PositiveSmallIntegerField(default=0, verbose_name="failed refreshes"),
                ),
                (
                    "refresh_refusals",
                    models.PositiveSmallIntegerField(default=0, verbose_name="refused refreshes"),
                ),
                (
                    "work_due_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="next check"),
                ),
                (
                    "work_failures",
                    models.PositiveSmallIntegerField(default=0, verbose_name="failed checks"),
                ),
                ("lease_holder", models.UUIDField(blank=True, editable=False, null=True)),
                ("leased_until", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "last_checked_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="last checked at"),
                ),
                (
                    "last_succeeded_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="last succeeded at"),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="created at")),
                (
                    "element",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="instances",
                        to="instances.element",
                        verbose_name="element",
                    ),
                ),
            ],
            options={
                "verbose_name": "instance",
                "verbose_name_plural": "instances",
                "ordering": ["-id"],
                "permissions": [("reveal_token", "Can reveal the Element token")],
            },
        ),
        migrations.CreateModel(
            name="AuthorizationLink",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("note", models.CharField(blank=True, max_length=500, verbose_name="note")),
                ("token_digest", models.CharField(editable=False, max_length=64, unique=True)),
                ("browser_digest", models.CharField(blank=True, editable=False, max_length=64)),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="created at")),
                ("expires_at", models.DateTimeField(verbose_name="expires at")),
                ("used_at", models.DateTimeField(blank=True, null=True, verbose_name="used at")),
                (
                    "completed_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="completed at"),
                ),
                (
                    "revoked_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="revoked at"),
                ),
                (
                    "made_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="authorization_links",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="made by",
                    ),
                ),
                (
                    "instance",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="links",
                        to="instances.instance",
                        verbose_name="instance",
                    ),
                ),
            ],
            options={
                "verbose_name": "authorization link",
                "verbose_name_plural": "authorization links",
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="Authorization",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("uid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("state_digest", models.CharField(editable=False, max_length=64, unique=True)),
                ("browser_digest", models.CharField(editable=False, max_length=64)),
                (
                    "code_verifier",
                    instances.fields.SealedTextField(
                        blank=True,
                        default="",
                        digest_field="",
                        editable=False,
                        verbose_name="PKCE code verifier",
                    ),
                ),
                (
                    "request_token_secret",
                    instances.fields.SealedTextField(
                        blank=True,
                        default="",
                        digest_field="",
                        editable=False,
                        verbose_name="request token secret",
                    ),
                ),
                (
                    "configuration",
                    instances.fields.SealedJSONField(
                        blank=True,
                        default="",
                        digest_field="",
                        editable=False,
                        verbose_name="changed configuration",
                    ),
                ),
                ("redirect_uri", models.URLField(max_length=500, verbose_name="redirect URI")),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="created at")),
                ("expires_at", models.DateTimeField(db_index=True, verbose_name="expires at")),
                ("used_at", models.DateTimeField(blank=True, null=True, verbose_name="used at")),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("pending", "pending"),
                            ("completed", "completed"),
                            ("denied", "denied"),
                            ("failed", "failed"),
                        ],
                        default="pending",
                        max_length=10,
                        verbose_name="outcome",
                    ),
                ),
                (
                    "started_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="authorizations",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="started by",
                    ),
                ),
                (
                    "link",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="authorizations",
                        to="instances.authorizationlink",
                        verbose_name="authorization link",
                    ),
                ),
                (
                    "instance",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="authorizations",
                        to="instances.instance",
                        verbose_name="instance",
                    ),
                ),
            ],
            options={
                "verbose_name": "authorization",
                "verbose_name_plural": "authorizations",
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="Interaction",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("subject", models.CharField(max_length=400, verbose_name="subject")),
                ("step", models.CharField(max_length=60, verbose_name="step")),
                (
                    "direction",
                    models.CharField(
                        choices=[("out", "sent"), ("in", "received")],
                        max_length=3,
                        verbose_name="direction",
                    ),
                ),
                ("actor", models.CharField(blank=True, max_length=254, verbose_name="who")),
                ("method", models.CharField(max_length=10, verbose_name="method")),
                ("url", models.TextField(verbose_name="URL")),
                ("request_headers", models.JSONField(default=dict, verbose_name="request headers")),
                ("request_body", models.TextField(blank=True, verbose_name="request body")),
                ("status", models.PositiveSmallIntegerField(null=True, verbose_name="status")),
                (
                    "response_headers",
                    models.JSONField(default=dict, verbose_name="answer's headers"),
                ),
                ("response_body", models.TextField(blank=True, verbose_name="answer's body")),
                ("error", models.TextField(blank=True, verbose_name="error")),
                ("started_at", models.DateTimeField(db_index=True, verbose_name="started at")),
                (
                    "duration_ms",
                    models.PositiveIntegerField(default=0, verbose_name="duration (ms)"),
                ),
                (
                    "instance",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="interactions",
                        to="instances.instance",
                        verbose_name="instance",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="interactions",
                        to="instances.organization",
                        verbose_name="organization",
                    ),
                ),
            ],
            options={
                "verbose_name": "interaction",
                "verbose_name_plural": "interactions",
                "ordering": ["-id"],
            },
        ),
        migrations.AddField(
            model_name="instance",
            name="cause_interaction",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="instances.interaction",
                verbose_name="interaction that shows the cause",
            ),
        ),
        migrations.CreateModel(
            name="OAuthApp",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("uid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("client_id", models.CharField(max_length=500, verbose_name="client id")),
                (
                    "client_secret",
                    instances.fields.SealedTextField(
                        blank=True,
                        default="",
                        digest_field="",
                        editable=False,
                        verbose_name="client secret",
                    ),
                ),
                (
                    "callback_url",
                    models.URLField(
                        blank=True,
                        help_text="As registered with the provider. Empty: this program's /oauth/callback.",
                        verbose_name="callback URL",
                    ),
                ),
                (
                    "scope",
                    models.CharField(
                        blank=True,
                        help_text="Empty: the element's own scopes.",
                        max_length=2000,
                        verbose_name="scope",
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="created at")),
                (
                    "element",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="oauth_apps",
                        to="instances.element",
                        verbose_name="element",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="oauth_apps",
                        to="instances.organization",
                        verbose_name="organization",
                    ),
                ),
            ],
            options={
                "verbose_name": "OAuth app",
                "verbose_name_plural": "OAuth apps",
                "ordering": ["organization__name", "element__name"],
            },
        ),
        migrations.CreateModel(
            name="Membership",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "role",
                    models.CharField(
                        choices=[("operator", "operator"), ("viewer", "viewer")],
                        max_length=10,
                        verbose_name="role",
                    ),
                ),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="memberships",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="account",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="memberships",
                        to="instances.organization",
                        verbose_name="organization",
                    ),
                ),
            ],
            options={
                "verbose_name": "membership",
                "verbose_name_plural": "memberships",
                "ordering": ["organization__name", "id"],
            },
        ),
        migrations.CreateModel(
            name="OrganizationUser",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("uid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("email", models.EmailField(max_length=254, verbose_name="e-mail address")),
                (
                    "first_name",
                    models.CharField(blank=True, max_length=150, verbose_name="first name"),
                ),
                (
                    "last_name",
                    models.CharField(blank=True, max_length=150, verbose_name="last name"),
                ),
                (
                    "secret_digest",
                    models.CharField(editable=False, max_length=64, null=True, unique=True),
                ),
                (
                    "secret",
                    instances.fields.SealedTextField(
                        blank=True,
                        default="",
                        digest_field="secret_digest",
                        editable=False,
                        verbose_name="user secret",
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="created at")),
                (
                    "account",
                    models.ForeignKey(
                        blank=True,
                        help_text="The sign-in account of this person, if they have one here.",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="organization_users",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="account",
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="users",
                        to="instances.organization",
                        verbose_name="organization",
                    ),
                ),
            ],
            options={
                "verbose_name": "organization user",
                "verbose_name_plural": "organization users",
                "ordering": ["organization__name", "email"],
            },
        ),
        migrations.AddField(
            model_name="instance",
            name="organization_user",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="instances",
                to="instances.organizationuser",
                verbose_name="organization user",
            ),
        ),
        migrations.CreateModel(
            name="IdempotencyKey",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key_digest", models.CharField(max_length=64)),
                ("body_digest", models.CharField(max_length=64)),
                ("created_at", models.DateTimeField(db_index=True, verbose_name="created at")),
                (
                    "instance",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="instances.instance",
                    ),
                ),
                (
                    "organization_user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="idempotency_keys",
                        to="instances.organizationuser",
                    ),
                ),
            ],
            options={
                "verbose_name": "idempotency key",
                "verbose_name_plural": "idempotency keys",
            },
        ),
        migrations.CreateModel(
            name="BulkJob",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("actor", models.CharField(max_length=254, verbose_name="who")),
                ("name", models.CharField(blank=True, max_length=200, verbose_name="file")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("reading", "being read"),
                            ("draft", "draft"),
                            ("running", "running"),
                            ("paused", "paused"),
                            ("cancelled", "cancelled"),
                            ("finished", "finished"),
                        ],
                        default="reading",
                        editable=False,
                        max_length=10,
                        verbose_name="state",
                    ),
                ),
                (
                    "concurrency",
                    models.PositiveSmallIntegerField(default=32, verbose_name="at once"),
                ),
                (
                    "is_skipping_existing",
                    models.BooleanField(default=False, verbose_name="skips what is there already"),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="created at")),
                (
                    "checked_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="dry run ended at"),
                ),
                ("dry_runs_begun", models.PositiveSmallIntegerField(default=0, editable=False)),
                (
                    "started_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="started at"),
                ),
                (
                    "resumed_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="resumed at"),
                ),
                ("ended_before", models.PositiveIntegerField(default=0, editable=False)),
                (
                    "enqueued_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="given to workers at"),
                ),
                (
                    "finished_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="finished at"),
                ),
                (
                    "organization_user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="bulk_jobs",
                        to="instances.organizationuser",
                        verbose_name="organization user",
                    ),
                ),
            ],
            options={
                "verbose_name": "bulk job",
                "verbose_name_plural": "bulk jobs",
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="StateChange",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField(auto_now_add=True, verbose_name="at")),
                (
                    "from_state",
                    models.CharField(
                        choices=[
                            ("draft", "draft"),
                            ("awaiting_authorization", "awaiting authorization"),
                            ("provisioning", "provisioning"),
                            ("connected", "connected"),
                            ("failed", "failed"),
                            ("unknown", "unknown"),
                            ("needs_reauthorization", "needs reauthorization"),
                            ("deleting", "deleting"),
                        ],
                        max_length=25,
                        verbose_name="from",
                    ),
                ),
                (
                    "to_state",
                    models.CharField(
                        choices=[
                            ("draft", "draft"),
                            ("awaiting_authorization", "awaiting authorization"),
                            ("provisioning", "provisioning"),
                            ("connected", "connected"),
                            ("failed", "failed"),
                            ("unknown", "unknown"),
                            ("needs_reauthorization", "needs reauthorization"),
                            ("deleting", "deleting"),
                        ],
                        max_length=25,
                        verbose_name="to",
                    ),
                ),
                ("actor", models.CharField(max_length=254, verbose_name="who")),
                ("reason", models.TextField(verbose_name="why")),
                (
                    "instance",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="state_changes",
                        to="instances.instance",
                    ),
                ),
            ],
            options={
                "verbose_name": "state change",
                "verbose_name_plural": "state changes",
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="Tag",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(db_index=True, max_length=200, verbose_name="name")),
                (
                    "instance",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="tags",
                        to="instances.instance",
                    ),
                ),
            ],
            options={
                "verbose_name": "tag",
                "verbose_name_plural": "tags",
                "ordering": ["id"],
            },
        ),
        migrations.CreateModel(
            name="BulkRow",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("uid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("number", models.PositiveIntegerField(verbose_name="number")),
                ("name", models.CharField(blank=True, max_length=200, verbose_name="name")),
                (
                    "element_key",
                    models.CharField(blank=True, max_length=100, verbose_name="element"),
                ),
                (
                    "body",
                    instances.fields.SealedJSONField(
                        blank=True, default="", digest_field="", editable=False, verbose_name="body"
                    ),
                ),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("pending", "pending"),
                            ("running", "running"),
                            ("succeeded", "succeeded"),
                            ("failed", "failed"),
                            ("awaiting_authorization", "awaiting authorization"),
                            ("skipped", "skipped"),
                            ("cancelled", "cancelled"),
                        ],
                        default="pending",
                        max_length=25,
                        verbose_name="outcome",
                    ),
                ),
                ("attempts", models.PositiveSmallIntegerField(default=0, verbose_name="attempts")),
                ("due_at", models.DateTimeField(blank=True, null=True, verbose_name="due at")),
                ("holder", models.UUIDField(editable=False, null=True)),
                ("verdict", models.TextField(blank=True, verbose_name="dry run")),
                ("error", models.TextField(blank=True, verbose_name="error")),
                (
                    "job",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="rows",
                        to="instances.bulkjob",
                    ),
                ),
                (
                    "instance",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="instances.instance",
                        verbose_name="instance",
                    ),
                ),
            ],
            options={
                "verbose_name": "bulk row",
                "verbose_name_plural": "bulk rows",
                "ordering": ["number"],
                "indexes": [
                    models.Index(fields=["job", "outcome"], name="bulk_row_outcome"),
                    models.Index(fields=["job", "due_at", "number"], name="bulk_row_due"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("job", "number"), name="bulk_row_number_once"),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "outcome__in",
                                [
                                    "pending",
                                    "running",
                                    "succeeded",
                                    "failed",
                                    "awaiting_authorization",
                                    "skipped",
                                    "cancelled",
                                ],
                            )
                        ),
                        name="bulk_row_outcome_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("due_at__isnull", False), ("outcome__in", ["pending", "running"])
                            ),
                            models.Q(
                                models.Q(("outcome__in", ["pending", "running"]), _negated=True),
                                ("due_at__isnull", True),
                            ),
                            _connector="OR",
                        ),
                        name="bulk_row_due_until_it_ends",
                    ),
                ],
            },
        ),
        migrations.AddConstraint(
            model_name="authorizationlink",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("used_at", None),
                    models.Q(("browser_digest", ""), _negated=True),
                    _connector="OR",
                ),
                name="authorization_link_used_by_a_browser",
            ),
        ),
        migrations.AddConstraint(
            model_name="authorization",
            constraint=models.CheckConstraint(
                condition=models.Q(("outcome__in", ["pending", "completed", "denied", "failed"])),
                name="authorization_outcome_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="authorization",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("outcome", "pending"), ("used_at__isnull", False), _connector="OR"
                ),
                name="authorization_ended_was_used",
            ),
        ),
        migrations.AddConstraint(
            model_name="oauthapp",
            constraint=models.UniqueConstraint(
                fields=("organization", "element"),
                name="oauth_app_one_per_element",
                violation_error_message="This organization already has an OAuth app of this element.",
            ),
        ),
        migrations.AddConstraint(
            model_name="membership",
            constraint=models.UniqueConstraint(
                fields=("organization", "account"),
                name="membership_once_per_organization",
                violation_error_message="This account is a member of the organization already.",
            ),
        ),
        migrations.AddConstraint(
            model_name="membership",
            constraint=models.CheckConstraint(
                condition=models.Q(("role__in", ["operator", "viewer"])),
                name="membership_role_known",
            ),
        ),
        migrations.AddIndex(
            model_name="interaction",
            index=models.Index(fields=["instance", "-id"], name="interaction_timeline"),
        ),
        migrations.AddIndex(
            model_name="interaction",
            index=models.Index(fields=["organization", "-id"], name="interaction_organization"),
        ),
        migrations.AddIndex(
            model_name="interaction",
            index=models.Index(fields=["step", "-id"], name="interaction_step"),
        ),
        migrations.AddIndex(
            model_name="interaction",
            index=models.Index(
                condition=models.Q(
                    models.Q(("error", ""), _negated=True), ("status__gte", 400), _connector="OR"
                ),
                fields=["-id"],
                name="interaction_failed",
            ),
        ),
        migrations.AddConstraint(
            model_name="interaction",
            constraint=models.CheckConstraint(
                condition=models.Q(("direction__in", ["out", "in"])),
                name="interaction_direction_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="organizationuser",
            constraint=models.UniqueConstraint(
                models.F("organization"),
                django.db.models.functions.text.Lower("email"),
                name="organization_user_email_unique",
                violation_error_message="This organization already has a user of this address.",
            ),
        ),
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(fields=["state", "state_changed_at"], name="instance_state"),
        ),
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(
                fields=["organization_user", "element", "state", "is_disabled", "cause"],
                name="instance_overview",
            ),
        ),
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(fields=["organization_user", "name"], name="instance_owner_name"),
        ),
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(
                models.Func(
                    "state",
                    "name",
                    arg_joiner=" WHEN 'connected' THEN '1' ELSE '0' END || ",
                    output_field=models.TextField(),
                    template="(CASE %(expressions)s)",
                ),
                models.F("id"),
                name="instance_place",
            ),
        ),
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(fields=["refresh_due_at"], name="instance_refresh_due"),
        ),
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(fields=["work_due_at"], name="instance_work_due"),
        ),
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(
                condition=models.Q(("cause", ""), _negated=True),
                fields=["cause", "-id"],
                name="instance_trouble",
            ),
        ),
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(
                condition=models.Q(("last_checked_at", None)),
                fields=["-id"],
                name="instance_never_checked",
            ),
        ),
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(
                condition=models.Q(("has_refresh_token", False)),
                fields=["-id"],
                name="instance_no_refresh_token",
            ),
        ),
        migrations.AddConstraint(
            model_name="instance",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "state__in",
                        [
                            "draft",
                            "awaiting_authorization",
                            "provisioning",
                            "connected",
                            "failed",
                            "unknown",
                            "needs_reauthorization",
                            "deleting",
                        ],
                    )
                ),
                name="instance_state_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="instance",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "connected"), _negated=True),
                    ("token_digest__isnull", False),
                    _connector="OR",
                ),
                name="instance_connected_has_token",
            ),
        ),
        migrations.AddConstraint(
            model_name="instance",
            constraint=models.UniqueConstraint(
                fields=("organization_user", "remote_id"), name="instance_remote_id_unique"
            ),
        ),
        migrations.AddConstraint(
            model_name="idempotencykey",
            constraint=models.UniqueConstraint(
                fields=("organization_user", "key_digest"), name="idempotency_key_once_per_user"
            ),
        ),
        migrations.AddConstraint(
            model_name="bulkjob",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "state__in",
                        ["reading", "draft", "running", "paused", "cancelled", "finished"],
                    )
                ),
                name="bulk_job_state_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="tag",
            constraint=models.UniqueConstraint(
                fields=("instance", "name"), name="tag_once_per_instance"
            ),
        ),
        migrations.RunPython(create_prefix_indexes, drop_prefix_indexes),
    ]
