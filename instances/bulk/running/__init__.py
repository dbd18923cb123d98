"""Run a bulk job in one process."""
