"""Writing to the journal's last segment: one write and one sync, or back to where it ended before.

A sync that failed is never tried again, for the kernel may have dropped the pages and would report success the second
time; the segment is cut back to its last good end instead (Rebello et al., "Can Applications Recover from fsync
Failures?", USENIX ATC 2020).
"""

from __future__ import annotations

import contextlib
import errno
import os

from osiris import durable


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
        self._path = ""
        self._fd = -1
        self._file = (0, 0)

    def write(self, path: str, lines: bytes, offset: int, *, over_torn_tail: bool) -> None:
        """Put ``lines`` at ``offset`` of ``path``, the end of its last good entry; a torn tail behind it goes.

        Once this returns they survive a power cut. ``OSError`` if the disk fails: then the segment is as it was.
        :class:`UndoFailed` from it if that could not be had.
        """
        fd = self._open(path, new=offset == 0)
        try:
            written = durable.write_at(fd, lines, offset)
            if written < len(lines):
                raise OSError(
                    errno.ENOSPC, f"{os.strerror(errno.ENOSPC)} ({written} of {len(lines)} bytes were written)"
                )
            if over_torn_tail:
                durable.cut(fd, offset + len(lines))  # what is left of it
            durable.sync_file(fd)
        except OSError as cause:
            self._undo(fd, offset, cause)
            raise

    def close(self) -> None:
        """Close the segment; the next write opens it again."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    __del__ = close

    def _undo(self, fd: int, offset: int, cause: OSError) -> None:
        try:
            durable.cut(fd, offset)
            durable.sync_file(fd)
        except OSError as undo:
            raise UndoFailed(undo) from cause
        finally:
            self.close()

    def _open(self, path: str, *, new: bool) -> int:
        if self._fd >= 0 and path == self._path and not new:
            with contextlib.suppress(FileNotFoundError):
                found = os.stat(path)
                if (found.st_dev, found.st_ino) == self._file:
                    return self._fd
        self.close()
        self._fd = durable.open_for_writing(path)
        opened = os.fstat(self._fd)
        self._path, self._file = path, (opened.st_dev, opened.st_ino)
        if new:
            self._sync_name(path)
        return self._fd

    def _sync_name(self, path: str) -> None:
        try:
            durable.sync_directory(self._directory)
        except OSError:
            # The next try makes the name anew: syncing the same once more could succeed without it being on the disk.
            self.close()
            with contextlib.suppress(OSError):
                durable.remove_file(path)
            raise
