"""Parts shared by the pages of the admin, of self-service and of links."""
