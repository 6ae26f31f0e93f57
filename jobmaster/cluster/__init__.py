"""The room that sees all: configuration, wiring, life cycle, the scheduler."""
