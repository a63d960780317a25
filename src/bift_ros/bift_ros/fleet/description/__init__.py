"""What a fleet is, and the file that says so."""
