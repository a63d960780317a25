"""What a fleet runs in: processes of this host, or containers of an engine."""
