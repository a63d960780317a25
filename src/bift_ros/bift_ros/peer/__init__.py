"""A vehicle's consensus logic as one state machine without I/O."""
