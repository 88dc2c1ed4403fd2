"""Scripts that measure and write ``benchmarks/results/*.json``; none imports another."""
