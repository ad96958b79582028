"""Prompts and evidence, the client of a model host, repair search, and the host itself."""
