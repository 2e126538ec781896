"""What the events mean: pure folds, each with the index files that show it.

Adding a projection is one file here and one line in ``PROJECTIONS``.
"""

from osiris.projections.base import Projection
from osiris.projections.counters import COUNTERS
from osiris.projections.keys import KEYS
from osiris.projections.latest import LATEST
from osiris.projections.pipelines import PIPELINES
from osiris.projections.retention import RETENTION
from osiris.projections.runs import RUNS

PROJECTIONS: tuple[Projection, ...] = (RUNS, LATEST, PIPELINES, COUNTERS, KEYS, RETENTION)
