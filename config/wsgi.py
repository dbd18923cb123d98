"""The WSGI application that gunicorn serves.

It does not start without valid keys and a database. Secrets that cannot be decrypted are reported, but do not prevent
the start.
"""

import os
import sys
import time

from django.core.checks import run_checks
from django.core.wsgi import get_wsgi_application
from django.db import DEFAULT_DB_ALIAS, connection

from config.chunked_bodies import with_content_length
from config.connections import with_connection_slot

# The exit status with which a gunicorn worker tells its master not to start another one.
WORKER_BOOT_ERROR = 3
DATABASE_UNUSABLE = "instances.E003"
# Less than gunicorn's --timeout of 30 seconds.
WAIT_SECONDS = 20.0

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

# A slot is taken after the body: clients that send slowly must not hold one.
application = with_content_length(with_connection_slot(get_wsgi_application()))

until = time.monotonic() + WAIT_SECONDS
while True:
    problems = run_checks(tags=["encryption"], databases=[DEFAULT_DB_ALIAS])
    sys.stderr.write("".join(f"{problem.msg}\n" for problem in problems))
    serious = [problem for problem in problems if problem.is_serious()]
    if not serious:
        break
    if any(problem.id != DATABASE_UNUSABLE for problem in serious):
        raise SystemExit(WORKER_BOOT_ERROR)
    if time.monotonic() > until:
        # gunicorn's master starts another worker, which waits again.
        raise SystemExit(1)
    connection.close()
    time.sleep(2)
connection.close()
