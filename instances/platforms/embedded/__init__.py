"""This program itself as the platform."""
