"""From OML to a manifest and its build, deterministic to the byte."""
