"""Bytes by digest: the blob store."""
