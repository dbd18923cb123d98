"""The WSGI application that gunicorn serves. It does not start without usable keys and a database; secrets that
cannot be read are told and stop nothing.
"""

import os
import sys

from django.core.checks import run_checks
from django.core.wsgi import get_wsgi_application
from django.db import DEFAULT_DB_ALIAS, connection

# The exit status by which a gunicorn worker tells its master not to start another.
WORKER_BOOT_ERROR = 3

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_wsgi_application()

problems = run_checks(tags=["encryption"], databases=[DEFAULT_DB_ALIAS])
sys.stderr.write("".join(f"{problem.msg}\n" for problem in problems))
if any(problem.is_serious() for problem in problems):
    raise SystemExit(WORKER_BOOT_ERROR)
connection.close()
