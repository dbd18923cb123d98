"""Make the Celery application available to `celery -A config worker`."""

from instances.taskqueue.celery_backend import app

__all__ = ["app"]
