"""Paths of the sandbox, below /sandbox/.

tenant: any name, for example common, organizations or a company's own.
"""

from django.urls import include, path

from instances.sandbox import crm, views

app_name = "sandbox"

authority = [
    path("authorize", views.authorize, name="authorize"),
    path("token", views.token, name="token"),
    path("revoke", views.revoke, name="revoke"),
]
urlpatterns = [
    path("", views.home, name="home"),
    path("behaviour", views.behaviour, name="behaviour"),
    path("<str:tenant>/oauth2/", include(authority)),
    # The last one is what the front page shows.
    path("<str:tenant>/oauth2/v2.0/", include(authority)),
    path("certificates", views.certificates, name="certificates"),
    path("api/data/v9.2/WhoAmI", crm.who_am_i, name="who_am_i"),
    path("api/discovery/v2.0/Instances", crm.environments, name="environments"),
    # On premise.
    path("api/data/v9.1/WhoAmI", crm.who_am_i),
    path("api/data/v9.1/<path:path>", crm.records),
    path("api/data/v9.2/<path:path>", crm.records, name="records"),
]
