"""Small models of the protocol, explored completely: every order of steps, with crashes and late answers."""
