"""Databases and brokers. A test is skipped if the one that it needs is not available."""

import os

import pytest
from django.conf import settings
from django.db import connection
from kombu.connection import Connection
from kombu.exceptions import OperationalError

BROKERS = {
    "redis": os.environ.get("SERVICES_REDIS_URL", "redis://127.0.0.1:6379/0"),
    "rabbitmq": os.environ.get("SERVICES_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672//"),
}
PATIENCE_SECONDS = 2


@pytest.fixture
def database_url():
    """Return the URL of a database server by its name; empty for SQLite."""

    def database_url(name):
        if name == "sqlite":
            return ""
        if connection.vendor != "postgresql":
            pytest.skip("DATABASE_URL names no PostgreSQL: make services-test")
        its = settings.DATABASES["default"]
        user = f"{its['USER']}:{its['PASSWORD']}@" if its["USER"] else ""
        return f"postgres://{user}{its['HOST']}:{its['PORT'] or 5432}/postgres"

    return database_url


@pytest.fixture
def broker_url():
    """Return the URL of a broker by its name; empty for the queue in the database."""

    def broker_url(name):
        if name == "database":
            return ""
        url = BROKERS[name]
        try:
            with Connection(url, connect_timeout=PATIENCE_SECONDS) as broker:
                broker.ensure_connection(max_retries=1, timeout=PATIENCE_SECONDS)
        except (OperationalError, OSError) as error:
            pytest.skip(f"No {name} answers at its port: {type(error).__name__}")
        return url

    return broker_url
