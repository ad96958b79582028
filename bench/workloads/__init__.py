"""What the benches run: programs for any Python from 3.9 on, each with a `run()` to be timed."""
