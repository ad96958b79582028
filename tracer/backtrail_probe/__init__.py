"""Runs inside the user's interpreter: standard library only, Python 3.9 and newer."""
