"""Outgoing requests to upstreams."""
