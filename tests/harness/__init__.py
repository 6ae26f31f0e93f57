"""Real worker processes, numbered jobs, and a checker that trusts only the handlers' own record."""
