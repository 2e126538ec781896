"""What `osiris init` puts into a new project, and the example with its data."""
