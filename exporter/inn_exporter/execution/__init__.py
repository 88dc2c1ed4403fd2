"""Running a graph, and what is measured while it runs."""
