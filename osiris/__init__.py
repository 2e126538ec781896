"""Osiris: a local-first data-pipeline compiler and runner with a ledger that can be trusted.

Nothing is imported here, so that ``osiris --help`` starts as fast as click does.
"""

__version__ = "0.1.0"
