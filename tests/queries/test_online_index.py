"""A migration that was interrupted before it was recorded is repeated."""

import pytest
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from instances.queries.online_index import AddIndexOnline

pytestmark = pytest.mark.django_db(transaction=True)

MIGRATIONS = [
    migration
    for migration in MigrationLoader(None).disk_migrations.values()
    if any(isinstance(one, AddIndexOnline) for one in migration.operations)
]
NAMES = [migration.name for migration in MIGRATIONS]


def repeat(migration):
    """Apply a migration to a database that has its changes, but no record of them."""
    before = MigrationLoader(connection).project_state(
        (migration.app_label, migration.name), at_end=False
    )
    with connection.schema_editor(atomic=migration.atomic) as editor:
        migration.apply(before, editor)


def online_indexes(migration):
    return [one for one in migration.operations if isinstance(one, AddIndexOnline)]


@pytest.mark.parametrize("migration", MIGRATIONS, ids=NAMES)
def test_what_is_there_is_kept(migration):
    repeat(migration)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="Only PostgreSQL leaves such.")
@pytest.mark.parametrize("migration", MIGRATIONS, ids=NAMES)
def test_an_index_that_was_left_invalid_is_made_again(migration):
    names = [one.index.name for one in online_indexes(migration)]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = to_regclass(%s)", names[-1:]
        )
        repeat(migration)
        cursor.execute(
            "SELECT bool_and(indisvalid), count(*) FROM pg_index JOIN pg_class ON oid = indexrelid"
            " WHERE relname = ANY(%s)",
            [names],
        )
        assert cursor.fetchone() == (True, len(names))
