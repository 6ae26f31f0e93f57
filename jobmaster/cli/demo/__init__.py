"""The demonstration: one job per file of a directory, and one of every way in which a job can go."""
