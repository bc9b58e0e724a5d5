"""Approvals: what passes from one channel into another, with what it needs."""
