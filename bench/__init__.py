"""Benchmarks, run by hand: `python -m bench`. docs/dev/benchmarks.md says what each measures."""
