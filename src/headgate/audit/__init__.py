"""What happened: audit events and the access log."""
