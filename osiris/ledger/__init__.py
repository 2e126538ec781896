"""Journal and projections as one thing: what is recorded is decided under one lock, and the index shows it."""
