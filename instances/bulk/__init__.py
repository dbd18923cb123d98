"""Bulk jobs: many instances from one file."""
