"""Laws of the protocol, taken out one by one of a copy of the code: for each a test must fail."""
