"""Arrow streams by their C interface (https://arrow.apache.org/docs/format/CStreamInterface.html), without pyarrow.

What stands between two libraries that hand rows to each other learns two things that neither of them tells: how many
rows went by, and the first error of the one that gives them, in its own words.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from typing import Any

_STREAM = b"arrow_array_stream"
_SCHEMA = b"arrow_schema"
_POINTER = ctypes.c_void_p


class _Schema(ctypes.Structure):
    pass


_Schema._fields_ = [  # as in the specification, up to what is read here
    ("format", ctypes.c_char_p),
    ("name", ctypes.c_char_p),
    ("metadata", _POINTER),
    ("flags", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("children", ctypes.POINTER(ctypes.POINTER(_Schema))),
]


class _Array(ctypes.Structure):
    _fields_ = [
        ("length", ctypes.c_int64),
        ("null_count", ctypes.c_int64),
        ("offset", ctypes.c_int64),
        ("n_buffers", ctypes.c_int64),
        ("n_children", ctypes.c_int64),
        ("buffers", _POINTER),
        ("children", _POINTER),
        ("dictionary", _POINTER),
        ("release", _POINTER),
        ("private_data", _POINTER),
    ]


_GetSchema = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, _POINTER)
_GetNext = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, _POINTER)
_GetLastError = ctypes.CFUNCTYPE(ctypes.c_void_p, _POINTER)
_Release = ctypes.CFUNCTYPE(None, _POINTER)


class _Stream(ctypes.Structure):
    _fields_ = [
        ("get_schema", _GetSchema),
        ("get_next", _GetNext),
        ("get_last_error", _GetLastError),
        ("release", _Release),
        ("private_data", _POINTER),
    ]


_capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_capsule_pointer.restype, _capsule_pointer.argtypes = _POINTER, [ctypes.py_object, ctypes.c_char_p]
_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype, _new_capsule.argtypes = ctypes.py_object, [_POINTER, ctypes.c_char_p, _POINTER]

_lent: set[WatchedStream] = set()
"""Streams that somebody else holds by their C functions, which must live until they are released."""


class WatchedStream:
    """The rows of ``source`` (anything with ``__arrow_c_stream__``), passed on untouched and read once.

    ``rows`` is how many went by, ``ended`` whether these were all. ``error`` is what the source failed with, "" if it
    did not. ``progress`` is called after each batch with the rows so far, ``on_error`` with the address of the source's
    stream when it has failed, both by the thread that reads.
    """

    def __init__(
        self,
        source: Any,
        progress: Callable[[int], None] | None = None,
        on_error: Callable[[int], None] | None = None,
    ) -> None:
        self.rows = 0
        self.error = ""
        self.ended = False
        self._capsule = source.__arrow_c_stream__()
        self._source = _Stream.from_address(_capsule_pointer(self._capsule, _STREAM))
        self._progress = progress
        self._on_error = on_error
        self._message = ctypes.create_string_buffer(b"")
        self._own = _Stream(
            _GetSchema(self._get_schema), _GetNext(self._get_next), _GetLastError(self._last_error), _Release(self._end)
        )

    def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
        """The stream as a capsule; it can be taken once."""
        _lent.add(self)
        return _new_capsule(ctypes.addressof(self._own), _STREAM, None)

    def close(self) -> None:
        """Let go of the source, whether or not it was read to its end; whoever reads on finds it ended."""
        if self._source.release:
            self._source.release(ctypes.addressof(self._source))

    def _get_schema(self, _: int, out: int) -> int:
        return self._watch(self._source.get_schema(ctypes.addressof(self._source), out)) if self._source.release else 5

    def _get_next(self, _: int, out: int) -> int:
        array = _Array.from_address(out)
        if not self._source.release:
            array.release = None
            return 0
        code = self._watch(self._source.get_next(ctypes.addressof(self._source), out))
        self.ended = code == 0 and not array.release
        if code == 0 and array.release:
            self.rows += array.length
            if self._progress is not None:
                self._progress(self.rows)
        return code

    def _watch(self, code: int) -> int:
        if code != 0 and not self.error:
            message = self._source.get_last_error(ctypes.addressof(self._source))
            self.error = ctypes.string_at(message).decode(errors="replace") if message else f"error {code}"
            self._message = ctypes.create_string_buffer(self.error.encode())
            if self._on_error is not None:
                self._on_error(ctypes.addressof(self._source))
        return int(code)

    def _last_error(self, _: int) -> int:
        return ctypes.addressof(self._message)

    def _end(self, stream: int) -> None:
        self.close()
        _Stream.from_address(stream).release = _Release()
        _lent.discard(self)


def column_names(schema: Any) -> Iterator[str]:
    """The names of the columns of ``schema``, anything with ``__arrow_c_schema__``."""
    capsule = schema.__arrow_c_schema__()
    top = _Schema.from_address(_capsule_pointer(capsule, _SCHEMA))
    for place in range(top.n_children):
        yield (top.children[place].contents.name or b"").decode()
