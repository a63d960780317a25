"""Many real peers in one process, in virtual time, under seeded faults, some of them Byzantine."""
