"""From a manifest to a run: plan, steps, run log, pack."""
