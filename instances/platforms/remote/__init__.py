"""A remote platform that serves the Cloud Elements API v2."""
