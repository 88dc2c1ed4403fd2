"""Benchmarks: what is measured on, with what, the measuring, and the tables; see README.md."""
