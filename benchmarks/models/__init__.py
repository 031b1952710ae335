"""The models of the benchmark: packages like any other, and what trains them."""
