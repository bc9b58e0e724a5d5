"""The kinds of rules, one small module per family."""
