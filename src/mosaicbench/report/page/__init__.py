"""The pages: the report of a benchmark, and two benchmarks side by side."""
