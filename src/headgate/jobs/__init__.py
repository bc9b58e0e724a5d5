"""The durable jobs, one module each."""
