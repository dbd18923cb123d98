"""Encryption keys of stored secrets."""
