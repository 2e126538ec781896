"""The same job through what a user would pick instead of Osiris: ``python -m bench.peers``."""
