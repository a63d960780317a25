"""What arrives from the fleet, judged while it is bytes: nothing here does I/O or reads a clock."""
