"""The air gap: bundles written and taken in, trusted keys, and the drop folder."""
