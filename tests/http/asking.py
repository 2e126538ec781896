"""Asking an API through the component, and what came of it."""

from __future__ import annotations

from typing import Any

import pytest

from osiris.errors import OsirisError
from tests.components.reading import Context, read, text_rows
from tests.http.server import Api

HTTP = "http.extractor"


def rows(ctx: Context, api: Api, name: str = HTTP, **config: Any) -> list[tuple[str | None, ...]]:
    """The rows as text, through a connection to ``api`` unless there is one or a URL."""
    if "url" not in config and ctx.connection is None:
        ctx.connection = {"base_url": api.url}
    return text_rows(ctx, read(ctx, name, **config).rows)


def refused(ctx: Context, api: Api, name: str = HTTP, **config: Any) -> OsirisError:
    """The error, without asking again unless the test wants it."""
    with pytest.raises(OsirisError) as caught:
        rows(ctx, api, name, **{"retries": 0, **config})
    assert caught.value.hint or caught.value.code == "runtime.cancelled"
    return caught.value
