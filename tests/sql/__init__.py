"""The SQL room: statements, plans, migrations, identity, faults."""
