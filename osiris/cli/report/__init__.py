"""One self-contained HTML page of a run: ``sources`` reads, ``model`` decides, ``page`` draws."""
