"""What all tests share."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# Examples here write real files and sync them. How long that takes is the machine's affair and no property of the code.
settings.register_profile("osiris", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("osiris")
