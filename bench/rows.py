"""Create many instances and interactions: the database copies one row of each.

A column that is not named here is copied from that row, so that this keeps working when columns are added. No row has
a secret: all sealed columns are empty.
"""

from django.db import connection
from django.db.models import Model
from django.utils import timezone

USERS = 20
# This many of the oldest rows differ from all others: the same few at every size, and the last ones in a list. They
# belong to an additional user.
RARE = 60
_STATE = """CASE WHEN n % 100 < 80 THEN 'connected' WHEN n % 100 < 90 THEN 'failed'
    WHEN n % 100 < 98 THEN 'needs_reauthorization' ELSE 'draft' END"""
_CAUSE = """CASE WHEN n % 100 < 80 THEN '' WHEN n % 100 < 90 THEN 'credentials_rejected'
    WHEN n % 100 < 98 THEN 'grant_rejected' ELSE '' END"""
_INSTANCE = {
    "id": "n",
    "uid": "gen_random_uuid()",
    "name": "'Account ' || lpad(n::text, 7, '0')",
    "token_digest": "md5(n::text) || md5('token ' || n)",
    "organization_user_id": f"first_user + CASE WHEN n > {RARE} THEN n % {USERS} ELSE {USERS} END",
    "element_id": "elements[1 + n::int % cardinality(elements)]",
    "state": _STATE,
    "cause": _CAUSE,
    "cause_message": "'The provider rejected the credentials of account ' || n || '.'",
    "state_changed_at": "now() - (n % 20) * interval '4 hours'",
    "is_disabled": "n % 50 = 7",
    "has_refresh_token": "CASE WHEN n % 4 = 0 THEN NULL ELSE n % 10 <> 3 END",
    "last_checked_at": f"CASE WHEN n > {RARE} THEN now() - (n % 24) * interval '1 hour' END",
}
_INTERACTION = {
    "id": "n",
    "instance_id": "instance.id",
    "organization_id": "owner.organization_id",
    "subject": "instance.name || ' (id ' || instance.id || ')'",
    "operation": f"CASE WHEN n > {RARE} THEN 'Refresh token' ELSE 'reveal Element token' END",
    "status": "CASE WHEN n % 20 = 0 THEN 401 ELSE 200 END",
    "error": "CASE WHEN n % 20 = 0 THEN 'The provider rejected the refresh token.' ELSE '' END",
    "started_at": "now() - (10000000 - n) * interval '1 second'",
}


def make_people() -> None:
    """Create organizations and users, the first instance and interaction."""
    from instances.models import Element, Instance, Interaction, Organization, OrganizationUser

    for number in range(USERS + 1):
        organization = Organization.objects.create(name=f"Organization {number}")
        email = f"user{number:02}@example.com"
        OrganizationUser.objects.create(organization=organization, email=email)
    user = OrganizationUser.objects.latest("pk")
    instance = Instance.objects.create(
        id=1,
        name="Account 0000001",
        organization_user=user,
        element=Element.objects.earliest("pk"),
        authentication_type="oauth2",
    )
    Interaction.objects.create(
        id=1,
        instance=instance,
        organization=user.organization,
        subject=instance.label,
        operation="reveal Element token",
        direction="out",
        method="POST",
        url="https://provider.example/oauth/token",
        request_headers={"Accept": "application/json"},
        response_body='{"access_token": "[redacted]", "expires_in": 3600}' + " " * 400,
        started_at=timezone.now(),
    )


def fill(*, instances: tuple[int, int], interactions: tuple[int, int]) -> None:
    """Add instances and interactions, and update the statistics.

    Each pair is the first and the last number.
    """
    from instances.models import Instance, Interaction

    last = instances[1]
    known = """, (SELECT array_agg(id ORDER BY id) AS elements FROM instances_element) AS known_elements,
        (SELECT min(id) AS first_user FROM instances_organizationuser) AS known_users"""
    _copy(Instance, _INSTANCE, instances, known)
    for tag, condition in {
        "eu": "id % 2 = 0",
        "us": "id % 2 = 1",
        "pilot": f"id <= {RARE}",
    }.items():
        _run(
            f"INSERT INTO instances_tag (instance_id, name) SELECT id, '{tag}' FROM instances_instance"
            f" WHERE id BETWEEN {instances[0]} AND {last} AND {condition}"
        )
    # The first hundred belong to the first instance, whose timeline is measured.
    of = f"CASE WHEN n <= 100 THEN 1 ELSE 1 + (n * 7919) % {last} END"
    joins = f"""JOIN instances_instance instance ON instance.id = {of}
        JOIN instances_organizationuser owner ON owner.id = instance.organization_user_id"""
    _copy(Interaction, _INTERACTION, interactions, joins)
    _run("VACUUM ANALYZE")


def _copy(
    model: type[Model], changed: dict[str, str], numbers: tuple[int, int], joins: str
) -> None:
    columns = [field.get_attname() for field in model._meta.concrete_fields]
    values = [changed.get(column, f"template.{column}") for column in columns]
    table = model._meta.db_table
    _run(
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)}"
        f" FROM {table} template CROSS JOIN generate_series({numbers[0]}::bigint, {numbers[1]}) n {joins}"
        " WHERE template.id = 1"
    )


def _run(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
