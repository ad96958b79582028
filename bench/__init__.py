"""Every figure in the documentation is printed by a script in here."""
