"""Writing to the journal's last segment: one write and one sync, or back to where it ended before.

A sync that failed is never tried again, for the kernel may have dropped the pages and would report success the second
time; the segment is cut back to its last good end instead (Rebello et al., "Can Applications Recover from fsync
Failures?", USENIX ATC 2020).
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from osiris import durable
from osiris.events.segment import START, segment_name

_FOLDERS_ABOVE = 2


class UndoFailed(Exception):  # noqa: N818 - the journal puts up its fence and says so
    """A write failed, and so did cutting it off again: nobody knows what the disk holds."""

    def __init__(self, undo: OSError) -> None:
        super().__init__(str(undo))
        self.undo = undo


class SegmentWriter:
    """The segment that is written to, kept open from one append to the next. The caller holds the journal's lock.

    A descriptor that was open when the kernel lost a page is told of it by its next sync; one opened later never is.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._pid = os.getpid()
        self._path = ""
        self._fd = -1
        self._file = (0, 0)

    def write(self, path: str, lines: bytes, offset: int, *, torn: bytes = b"", is_synced: bool) -> None:
        """Put ``lines`` at ``offset`` of ``path``, the end of its last good entry, over the ``torn`` tail there.

        Once this returns they survive a power cut. ``OSError`` if the disk fails: then the segment is as it was.
        :class:`UndoFailed` from it if that could not be had, also where something before ``offset`` had not been known
        to be on the disk (``is_synced``): the sync that failed may have dropped it.
        """
        fd = self._open(path, new=offset == 0)
        is_written = False
        try:
            written = durable.write_at(fd, lines, offset)
            if written < len(lines):
                raise OSError(
                    errno.ENOSPC, f"{os.strerror(errno.ENOSPC)} ({written} of {len(lines)} bytes were written)"
                )
            if torn:
                durable.cut(fd, offset + len(lines))  # what is left of it
            is_written = True
            durable.sync_file(fd)
        except OSError as cause:
            self._undo(fd, offset, torn, cause)
            if is_written and not is_synced:
                raise UndoFailed(cause) from cause
            raise

    def close(self) -> None:
        """Close the segment; the next write opens it again."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    __del__ = close

    def _undo(self, fd: int, offset: int, torn: bytes, cause: OSError) -> None:
        try:
            durable.cut(fd, offset)
            if torn and durable.write_at(fd, torn, offset) < len(torn):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            durable.sync_file(fd)
        except OSError as undo:
            raise UndoFailed(undo) from cause
        finally:
            self.close()

    def _open(self, path: str, *, new: bool) -> int:
        if self._pid != os.getpid():  # what a forked child inherited may have been in the middle of a change
            self._pid, self._fd, self._path = os.getpid(), -1, ""
        if self._fd >= 0 and path == self._path and not new:
            with contextlib.suppress(FileNotFoundError):
                found = os.stat(path)
                if (found.st_dev, found.st_ino) == self._file:
                    return self._fd
        self.close()
        self._path = ""
        self._fd = durable.open_for_writing(path)
        opened = os.fstat(self._fd)
        self._path, self._file = path, (opened.st_dev, opened.st_ino)
        if new:
            self._sync_name(path)
        return self._fd

    def _sync_name(self, path: str) -> None:
        try:
            durable.sync_directory(self._directory)
            if path.endswith(segment_name(START.segment)):
                # Whoever made the folders may have been killed before he synced their names.
                for folder in list(Path(self._directory).absolute().parents)[:_FOLDERS_ABOVE]:
                    durable.sync_directory(folder)
        except OSError as cause:
            # The next try makes the name anew: syncing the same once more could succeed without it being on the disk.
            self.close()
            try:
                durable.remove_file(path)
            except OSError as undo:
                raise UndoFailed(undo) from cause
            raise
