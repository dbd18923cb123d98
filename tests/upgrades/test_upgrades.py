"""A database of an earlier version goes on: migrated, readable, listed, and equal to one that is made today.

The dumps are of the version whose last migration their name gives, made by its own test suite under the tests' key.
"""

import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from itertools import chain
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import pytest
from django.db import connection

PROJECT = Path(__file__).resolve().parent.parent.parent
DUMPS = sorted(path.name.split(".")[0] for path in Path(__file__).parent.glob("*.sqlite.sql"))
STATES = {"0016": {"connected": 6, "needs_reauthorization": 1}}


def run(database_url, *arguments):
    """One of the program's commands on that database; what it printed."""
    environment = os.environ | {
        "DATABASE_URL": database_url,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
    }
    done = subprocess.run(  # noqa: S603 - our own program, no shell
        [sys.executable, *arguments], cwd=PROJECT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def databases(tmp_path):
    """databases(dump): the URL of a database with that dump, or of an empty one; removed afterwards."""
    made = []

    def make_on_sqlite(dump):
        path = tmp_path / f"{uuid4().hex}.sqlite3"
        if dump:
            script = (Path(__file__).parent / f"{dump}.sqlite.sql").read_text()
            with sqlite3.connect(path) as database:
                database.executescript(script)
            database.close()
        return f"sqlite:///{path}"

    def make_on_postgresql(dump):
        import psycopg

        name = f"upgrade_{uuid4().hex}"
        made.append(name)
        server = os.environ["DATABASE_URL"]
        with psycopg.connect(server, autocommit=True) as administrator:
            administrator.execute(f"CREATE DATABASE {name}")
        url = urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        if dump:
            script = (Path(__file__).parent / f"{dump}.postgresql.sql").read_text()
            with psycopg.connect(url, autocommit=True) as database:
                database.execute(script)
        return url

    yield make_on_postgresql if connection.vendor == "postgresql" else make_on_sqlite
    if made:
        import psycopg

        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as administrator:
            for name in made:
                administrator.execute(f"DROP DATABASE {name} WITH (FORCE)")


def schema(database_url):
    """Tables, columns and indexes, as the database describes them."""
    script = (
        "import json\nfrom django.db import connection as c\n"
        "with c.cursor() as cursor:\n"
        "    names = [t.name for t in c.introspection.get_table_list(cursor)]\n"
        "    found = {n: (sorted(str(f[:6]) for f in c.introspection.get_table_description(cursor, n)),\n"
        "                 sorted(str(sorted(i.items(), key=str)) for i in c.introspection.get_constraints(cursor, n).values()))\n"
        "             for n in names}\n"
        "print(json.dumps(found))"
    )
    return json.loads(run(database_url, "manage.py", "shell", "-v", "0", "-c", script))


@pytest.mark.parametrize("dump", DUMPS)
def test_an_earlier_database_is_migrated_and_works_on(databases, dump):
    url = databases(dump)
    run(url, "manage.py", "migrate", "--no-input")
    run(url, "manage.py", "sync_elements")
    found = json.loads(run(url, "-m", "tests.upgrades.journey"))
    assert set(found["pages"].values()) == {200}
    states = [one["state"] for one in found["instances"].values()]
    assert Counter(states) == STATES[dump]
    for one in found["instances"].values():
        assert one["page"] == 200
        assert one["secrets"]
        assert one["token"] or one["state"] != "connected"
    # Those that were authorized at the former default go on there.
    oauth = [one["token_endpoint"] for one in found["instances"].values() if one["is_oauth"]]
    assert oauth == ["https://login.microsoftonline.com/common/oauth2/token"] * 2
    # By the ids that clients know, which of a remote platform are its own.
    assert len(set(chain.from_iterable(found["api"]))) == len(found["instances"])


@pytest.mark.slow
@pytest.mark.parametrize("dump", DUMPS)
def test_an_upgraded_database_has_the_tables_of_a_new_one(databases, dump):
    upgraded, new = databases(dump), databases(None)
    for url in (upgraded, new):
        run(url, "manage.py", "migrate", "--no-input")
    assert schema(upgraded) == schema(new)
