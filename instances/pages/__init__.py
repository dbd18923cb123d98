"""What the pages of the admin, of self-service and of links share."""
