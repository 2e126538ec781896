"""The job as a Kedro project."""

__version__ = "1.0"
