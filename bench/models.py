"""A table with rows as large as those of instances, without any of their logic."""

import uuid

from django.db import models


class BareRow(models.Model):
    """A row of a bare view: the columns of an instance, without encryption."""

    uid = models.UUIDField(default=uuid.uuid4, unique=True)
    name = models.CharField(max_length=200)
    authentication_type = models.CharField(max_length=20)
    external_authentication = models.CharField(max_length=10, default="none")
    configuration = models.JSONField()
    secret_configuration = models.TextField()
    secret_keys = models.JSONField(default=list)
    tokens = models.TextField(blank=True)
    token_digest = models.CharField(max_length=64, unique=True)
    token = models.TextField()
    state = models.CharField(max_length=25, db_index=True)
    state_changed_at = models.DateTimeField(auto_now_add=True)
    is_disabled = models.BooleanField(default=False)
    is_trace_logging = models.BooleanField(default=False)
    cause = models.CharField(max_length=50, blank=True)
    cause_message = models.TextField(blank=True)
    last_checked_at = models.DateTimeField(auto_now_add=True)
    last_succeeded_at = models.DateTimeField(auto_now_add=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects: models.Manager["BareRow"] = models.Manager()

    def __str__(self) -> str:
        return self.name
