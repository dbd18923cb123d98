"""Where `celery -A config worker` finds the application."""

from instances.taskqueue.celery_backend import app

__all__ = ["app"]
