"""Values, state tables and verdicts: pure, standard library only."""
