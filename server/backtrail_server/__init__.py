"""The LSP process: unpacks requests, asks the tracer and the model client, converts answers."""

__version__ = "0.1.0"
