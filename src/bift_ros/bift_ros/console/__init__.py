"""The command line: ./bift."""
