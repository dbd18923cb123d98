"""The only settings file.

Values come from the environment or `.env`; docs/settings.md explains each.

Secrets have no default: without SECRET_KEY and ENCRYPTION_KEYS nothing starts. Production, tests and development
differ only in their environment.
"""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django_stubs_ext
import environ
from django.core.exceptions import ImproperlyConfigured
from django.utils.csp import CSP

from config.admin_theme import admin_theme

django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent


class _Environment(environ.Env):  # type: ignore[misc]  # untyped
    def get_value(self, var: str, *args: Any, **kwargs: Any) -> Any:
        """Return a typed value.

        Raises ImproperlyConfigured, which names the setting, if it is invalid.
        """
        try:
            return super().get_value(var, *args, **kwargs)
        except ValueError:
            raise ImproperlyConfigured(f"{var} has an invalid value.") from None


env = _Environment()
env.read_env(BASE_DIR / ".env")

# Addresses

DEFAULT_EXCEPTION_REPORTER = "config.debug_pages.DebugReporter"
DEFAULT_EXCEPTION_REPORTER_FILTER = "config.debug_pages.DebugFilter"
DEBUG = env.bool("DEBUG", default=False)
HOST = env.str("HOST", default="127.0.0.1")
PORT = env.int("PORT", default=8000)
PUBLIC_URL = env.str("PUBLIC_URL", default=f"http://localhost:{PORT}").rstrip("/")
_public = urlsplit(PUBLIC_URL)
if _public.scheme not in {"http", "https"} or not _public.hostname or _public.path:
    raise ImproperlyConfigured(
        "PUBLIC_URL must be a scheme and a host, for example https://instances.example.com."
    )
IS_HTTPS = _public.scheme == "https"
LOOPBACK_HOSTS = ["localhost", "127.0.0.1", "::1"]
ALLOWED_HOSTS = env.list(
    "ALLOWED_HOSTS",
    default=[f"[{host}]" if ":" in host else host for host in LOOPBACK_HOSTS]
    if _public.hostname in LOOPBACK_HOSTS
    else [_public.hostname],
)
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]

# Number of proxies in front of this program; each appends the address of its peer to X-Forwarded-For
TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXY_COUNT", default=0)
if TRUSTED_PROXY_COUNT < 0:
    raise ImproperlyConfigured("TRUSTED_PROXY_COUNT must be 0 or the number of your proxies.")

# Secrets

SECRET_KEY = env.str("SECRET_KEY")
ENCRYPTION_KEYS: list[str] = env.list("ENCRYPTION_KEYS")

# Application

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "ninja",
    # Before django_tasks_db, whose db_worker command it replaces.
    "instances",
    "instances.sandbox",
    "django_tasks_db",
    "config.admin_site.AdminConfig",
]
MIDDLEWARE = [
    "instances.taskqueue.health.answer_probes",
    "instances.api.middleware.PlatformApiMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "instances.pages.time_zone.in_readers_zone",
    "instances.pages.language.in_readers_language",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.csp",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# Database

DATA_DIR = Path(env.str("DATA_DIR", default="var"))
if not DATA_DIR.is_absolute():
    DATA_DIR = BASE_DIR / DATA_DIR
_database: dict[str, Any] = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": str(DATA_DIR / "db.sqlite3"),
}
if _database_url := env.str("DATABASE_URL", default=""):
    # Check the scheme first: the parser's warning about other schemes shows the password.
    if not _database_url.startswith(("postgres://", "postgresql://", "sqlite://")):
        raise ImproperlyConfigured(
            "DATABASE_URL must be postgres://user:password@host:port/name or sqlite:////path/to/file."
        )
    _database = env.db_url("DATABASE_URL")
DATABASES = {"default": _database | {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # Every transaction takes the write lock at its start, so that writers wait instead of failing half-way.
    DATABASES["default"]["OPTIONS"] = {
        "init_command": "PRAGMA journal_mode=WAL;",
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
    }
else:
    # queries.prepared relies on prepared statements. A transaction pooler that does not support them needs
    # ?prepare_threshold=1000000000 in DATABASE_URL.
    DATABASES["default"].setdefault("OPTIONS", {}).setdefault("prepare_threshold", 5)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Counters: calls per minute, failed sign-ins

CACHES: dict[str, dict[str, Any]] = {
    "default": env.cache_url("CACHE_URL", default="locmemcache://"),
    # While the shared one does not answer, each process counts here.
    "memory": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "memory"},
}
for _cache in CACHES.values():
    _options = _cache.setdefault("OPTIONS", {})
    if _cache["BACKEND"].endswith("LocMemCache"):
        # Beyond its default of 300, Django evicts entries at random: trying many names would reset the counters.
        _options.setdefault("MAX_ENTRIES", 100_000)
    elif _cache["BACKEND"].endswith("RedisCache"):
        # Requests wait for it.
        _options.setdefault("socket_connect_timeout", 0.1)
        _options.setdefault("socket_timeout", 0.1)
    else:
        raise ImproperlyConfigured("CACHE_URL must be redis://host:port/number or locmemcache://.")

# Background tasks

_TASKS_BACKENDS = {
    "database": "django_tasks_db.DatabaseBackend",
    "celery": "instances.taskqueue.celery_backend.CeleryBackend",
    "immediate": "django.tasks.backends.immediate.ImmediateBackend",
}
TASKS_BACKEND = env.str("TASKS_BACKEND", default="database")
if TASKS_BACKEND not in _TASKS_BACKENDS:
    raise ImproperlyConfigured(f"TASKS_BACKEND must be one of: {', '.join(_TASKS_BACKENDS)}.")
TASKS = {"default": {"BACKEND": _TASKS_BACKENDS[TASKS_BACKEND]}}

# Celery, for TASKS_BACKEND=celery: each name without CELERY_ is a setting of Celery

CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="")
if TASKS_BACKEND == "celery" and not CELERY_BROKER_URL.startswith(
    ("redis://", "rediss://", "amqp://", "amqps://")
):
    raise ImproperlyConfigured(
        "TASKS_BACKEND is celery, so CELERY_BROKER_URL must be the URL of a broker: redis://:password@host:6379/0 or "
        "amqp://user:password@host:5672/vhost."
    )
CELERY_TASK_DEFAULT_QUEUE = env.str("CELERY_QUEUE", default="instances")
# A worker takes from both in turn, so that no action on an instance waits behind bulk jobs.
CELERY_TASK_QUEUES: dict[str, dict[str, str]] = {
    CELERY_TASK_DEFAULT_QUEUE: {},
    f"{CELERY_TASK_DEFAULT_QUEUE}.bulk": {},
}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# Outcomes are stored in the database; nothing reads them from the broker.
CELERY_TASK_IGNORE_RESULT = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
# Finish running tasks after a lost connection, although the broker will deliver them again.
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_WORKER_SEND_TASK_EVENTS = False
# Rejects messages that this program did not send, without logging their bodies.
CELERY_WORKER_CONSUMER = "instances.taskqueue.celery_worker:CarefulConsumer"
if CELERY_BROKER_URL.startswith("redis"):
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        # Redis redelivers unacknowledged tasks after this time, so it must be far longer than a chunk takes.
        "visibility_timeout": 2 * 60 * 60,
        "socket_connect_timeout": 4,
        "socket_timeout": 10,
    }

# Providers and platforms

HTTP_TIMEOUT_SECONDS = env.float("HTTP_TIMEOUT_SECONDS", default=10.0)
# A request may use up the refresh token: giving up on the response loses the grant.
REFRESH_TIMEOUT_SECONDS = env.float("REFRESH_TIMEOUT_SECONDS", default=6 * HTTP_TIMEOUT_SECONDS)
PROVIDER_CA_BUNDLE = env.str("PROVIDER_CA_BUNDLE", default="")
if PROVIDER_CA_BUNDLE and not Path(PROVIDER_CA_BUNDLE).is_file():
    raise ImproperlyConfigured("PROVIDER_CA_BUNDLE must be the path of a certificate file (PEM).")
SANDBOX_ENABLED = env.bool("SANDBOX_ENABLED", default=False)
PROVIDER_ALLOWED_PRIVATE_HOSTS: list[str] = env.list("PROVIDER_ALLOWED_PRIVATE_HOSTS", default=[])
if SANDBOX_ENABLED:
    # The sandbox is a provider on this server; no other private host is allowed with it.
    PROVIDER_ALLOWED_PRIVATE_HOSTS.append(_public.netloc)

# The platform API

API_CALLS_PER_MINUTE = env.int("API_CALLS_PER_MINUTE", default=6000)

# Data calls: what programs do with a connection, through the proxy and the hubs

# Waiting for a provider, each on a thread of its own, in each web process
DATA_CALLS_AT_ONCE = env.int("DATA_CALLS_AT_ONCE", default=200)
DATA_CALLS_PER_INSTANCE = env.int("DATA_CALLS_PER_INSTANCE", default=8)
# For the head of a response, and for each part of its body
DATA_CALL_TIMEOUT_SECONDS = env.float("DATA_CALL_TIMEOUT_SECONDS", default=60.0)
# For a whole response
DATA_CALL_MAX_SECONDS = env.float("DATA_CALL_MAX_SECONDS", default=600.0)
DATA_CALL_MAX_BODY_BYTES = env.int("DATA_CALL_MAX_BODY_BYTES", default=100 * 1024 * 1024)
# How long the records of data calls may wait to be written; 0: each is written at once
DATA_CALL_BATCH_SECONDS = env.float("DATA_CALL_BATCH_SECONDS", default=1.0)
if not 0 <= DATA_CALL_BATCH_SECONDS <= 5:
    raise ImproperlyConfigured("DATA_CALL_BATCH_SECONDS must be from 0 to 5.")

# How many days recorded exchanges are kept, by kind

KEEP_EXCHANGES_DAYS = env.int("KEEP_EXCHANGES_DAYS", default=90)
KEEP_DATA_CALLS_DAYS = env.int("KEEP_DATA_CALLS_DAYS", default=30)
if min(KEEP_EXCHANGES_DAYS, KEEP_DATA_CALLS_DAYS) < 1:
    raise ImproperlyConfigured("KEEP_EXCHANGES_DAYS and KEEP_DATA_CALLS_DAYS must be at least 1.")

# Email: without EMAIL_URL, sending is not offered

_email_url = env.str("EMAIL_URL", default="")
CAN_SEND_EMAIL = bool(_email_url)
_EMAIL_OPTIONS = {
    "EMAIL_HOST": "host",
    "EMAIL_PORT": "port",
    "EMAIL_HOST_USER": "username",
    "EMAIL_HOST_PASSWORD": "password",
    "EMAIL_USE_TLS": "use_tls",
    "EMAIL_USE_SSL": "use_ssl",
}
_email = env.email_url_config(_email_url or "smtp://localhost:25")
MAILERS: dict[str, dict[str, Any]] = {"default": {"BACKEND": _email["EMAIL_BACKEND"]}}
if _email["EMAIL_BACKEND"].endswith("smtp.EmailBackend"):
    MAILERS["default"]["OPTIONS"] = {
        option: _email[key] for key, option in _EMAIL_OPTIONS.items() if _email.get(key)
    } | {"timeout": HTTP_TIMEOUT_SECONDS}
DEFAULT_FROM_EMAIL = env.str("EMAIL_FROM", default=f"instances@{_public.hostname}")

# Health

METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
# 0: the scheduler serves none
SCHEDULER_HEALTH_PORT = env.int("SCHEDULER_HEALTH_PORT", default=0)

# Sign-in

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "sign_in"
LOGIN_REDIRECT_URL = "connections"
LOGOUT_REDIRECT_URL = "sign_in"
SIGN_IN_FAILURES_ALLOWED = env.int("SIGN_IN_FAILURES_ALLOWED", default=5)
SIGN_IN_FAILURES_PER_ADDRESS = env.int("SIGN_IN_FAILURES_PER_ADDRESS", default=20)
SIGN_IN_FAILURES_PER_NAME = env.int("SIGN_IN_FAILURES_PER_NAME", default=50)
SESSION_COOKIE_AGE = 12 * 60 * 60

# Transport security: on wherever PUBLIC_URL is https

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = IS_HTTPS
SECURE_HSTS_SECONDS = 365 * 24 * 60 * 60 if IS_HTTPS else 0
# Both affect more than this program: all subdomains, and a preload list that takes long to leave.
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("HSTS_INCLUDE_SUBDOMAINS", default=False)
SECURE_HSTS_PRELOAD = env.bool("HSTS_PRELOAD", default=False)
if SECURE_HSTS_PRELOAD and not SECURE_HSTS_INCLUDE_SUBDOMAINS:
    raise ImproperlyConfigured(
        "HSTS_PRELOAD=true needs HSTS_INCLUDE_SUBDOMAINS=true: browsers only preload hosts with their subdomains."
    )
# Django's check --deploy asks for both, but only the domain's owner can decide on them.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
# The API rejects http itself, since a POST must not be redirected (contract 1).
SECURE_REDIRECT_EXEMPT = [r"^elements/api-v2"]
if env.bool("TRUST_PROXY_HEADERS", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_CSP: dict[str, list[str]] = {
    "default-src": [CSP.SELF],
    "base-uri": [CSP.NONE],
    "form-action": [CSP.SELF],
    "frame-ancestors": [CSP.NONE],
    "object-src": [CSP.NONE],
}
# The admin theme's Alpine.js evaluates expressions and sets inline styles.
ADMIN_CSP: dict[str, list[str]] = SECURE_CSP | {
    "script-src": [CSP.SELF, CSP.UNSAFE_EVAL],
    "style-src": [CSP.SELF, CSP.UNSAFE_INLINE],
    "img-src": [CSP.SELF, "data:"],
}
# Swagger UI sets inline styles.
API_DOCS_CSP: dict[str, list[str]] = SECURE_CSP | {
    "style-src": [CSP.SELF, CSP.UNSAFE_INLINE],
    "img-src": [CSP.SELF, "data:"],
}
# Pages whose button leads to a provider: Chromium applies form-action to redirects after a form.
_LEAVING: dict[str, list[str]] = {"form-action": [CSP.SELF, PUBLIC_URL, "https:"]}
AUTHORIZE_CSP: dict[str, list[str]] = ADMIN_CSP | _LEAVING
CONNECT_CSP: dict[str, list[str]] = SECURE_CSP | _LEAVING

# Static files, language, time zone

STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True
LANGUAGE_CODE = "en"
# Of link pages and mails to account owners.
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
FORMAT_MODULE_PATH = ["config.formats"]
TIME_ZONE = env.str("TIME_ZONE", default="UTC")
USE_TZ = True

# Logs: redacted JSON lines on standard error

LOG_LEVEL = env.str("LOG_LEVEL", default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "instances.redaction.log_formatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        # Their own handlers would print tracebacks and request lines without redaction.
        "django": {"handlers": [], "level": LOG_LEVEL, "propagate": True},
        "django.server": {"handlers": [], "level": LOG_LEVEL, "propagate": True},
        "gunicorn.error": {"handlers": [], "level": LOG_LEVEL, "propagate": True},
        # At DEBUG they log complete tokens and URLs.
        "authlib": {"level": "INFO"},
        "urllib3": {"level": "INFO"},
    },
}

# The admin

UNFOLD = admin_theme(has_sandbox=SANDBOX_ENABLED)
