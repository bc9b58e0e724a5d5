"""How packages come in: the upstream reader, mirrors and uploads."""
