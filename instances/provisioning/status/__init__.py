"""Explain the status of instances: cause, who must act, and the next step."""
