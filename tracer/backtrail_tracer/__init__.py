"""Decides what to run, runs it bounded, reads the log and answers questions about the trace."""
