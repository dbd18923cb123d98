"""Background processes: Celery, health endpoints, and the supervisor behind `up`."""
