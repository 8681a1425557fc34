"""What `benchmarks/quality.py` is made of: tasks, peers, a simulated clock, and the arithmetic of comparing."""
