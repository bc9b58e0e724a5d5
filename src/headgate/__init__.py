"""Headgate: a gate server for conda channels."""
