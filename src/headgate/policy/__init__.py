"""What may pass: rules and verdicts, as pure functions."""
