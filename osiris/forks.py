"""What a fork must not divide: a late import, a lock inside a library that another thread holds at that moment.

A forked child has only the thread that forked. What others had begun stays begun in it for ever.
"""

from __future__ import annotations

import os
import threading

undivided = threading.Lock()
"""Held in such places, for microseconds, and by whoever forks."""

os.register_at_fork(before=undivided.acquire, after_in_parent=undivided.release, after_in_child=undivided.release)
