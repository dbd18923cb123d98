"""Background processes: Celery, health, outages, and the supervisor behind `up`."""
