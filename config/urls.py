"""The admin at /admin/, everything else in instances.urls."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("instances.urls")),
]
