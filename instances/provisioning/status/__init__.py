"""What a page says about an instance: cause, who acts, next step."""
