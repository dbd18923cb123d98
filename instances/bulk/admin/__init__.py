"""The admin's pages of bulk jobs."""
