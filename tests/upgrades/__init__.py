"""Databases of earlier versions, and what they must still be good for after `migrate`."""
