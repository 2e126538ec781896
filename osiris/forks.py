"""Imports that are put off, and forks: a child forked while another thread imports would wait for it for ever."""

from __future__ import annotations

import os
import threading

importing = threading.Lock()
"""Held by whoever imports late, and by whoever forks."""

os.register_at_fork(before=importing.acquire, after_in_parent=importing.release, after_in_child=importing.release)
