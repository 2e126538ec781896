"""Speed, measured beside a floor in the same run: run it with ``make bench``."""
