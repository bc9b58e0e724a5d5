"""Who may do what: principals, roles, grants and tokens."""
