"""The command line: one file a noun, each thin over what it calls."""
