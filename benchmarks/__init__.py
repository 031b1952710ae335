"""Side by side with other servers, and how cost grows. `python -m benchmarks` runs it."""
