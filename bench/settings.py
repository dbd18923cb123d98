"""config.settings, with bare views to compare with. The environment is filled by bench.api."""

from config.settings import *  # noqa: F403

ROOT_URLCONF = "bench.urls"
INSTALLED_APPS = [*INSTALLED_APPS, "bench"]  # noqa: F405
