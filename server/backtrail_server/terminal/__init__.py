"""The command line: the same work as in an editor, shown as text, tables and colours."""
