"""`manage.py up` with PostgreSQL, which takes writes from many processes."""

import os
from uuid import uuid4

import psycopg
import pytest

from tests.support.program import Program

pytestmark = [
    pytest.mark.services,
    pytest.mark.slow,
    pytest.mark.xdist_group("services"),
]


@pytest.fixture
def empty_database(database_url):
    server_url, name = database_url("postgresql"), f"test_{uuid4().hex}"
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')
        yield f"{server_url.rpartition('/')[0]}/{name}"
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def test_each_processor_has_a_worker(tmp_path, empty_database):
    with Program(tmp_path, DATABASE_URL=empty_database) as program:
        workers = [part for part in program.parts if "db_worker" in part]
        assert len(workers) == os.cpu_count()
        assert len([part for part in program.parts if "scheduler" in part]) == 1
