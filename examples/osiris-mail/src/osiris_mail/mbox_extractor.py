"""``mail.mbox_extractor``: who wrote to whom, when and about what, from mbox files.

DuckDB cannot read mbox, so Python does, one message at a time: each becomes a line of JSON in the step's work folder,
and the rows are a DuckDB relation over that file. Memory stays flat however large the archive is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime
from mailbox import mbox
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from osiris.components.base import ComponentSpec, Produced, StepContext, quote_literal
from osiris.components.source_files import find_source_files
from osiris.errors import ExitCode, OsirisError

if TYPE_CHECKING:
    import duckdb

_MESSAGES_BETWEEN_REPORTS = 500
_COLUMNS = {
    "message_id": "VARCHAR",
    "sent_at": "TIMESTAMPTZ",
    "sender": "VARCHAR",
    "recipients": "VARCHAR[]",
    "subject": "VARCHAR",
    "bytes": "BIGINT",
}


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which archives to read."""

    path: Annotated[str, Meta(min_length=1, description="File or pattern, in mbox format", examples=["data/*.mbox"])]
    subjects: Annotated[bool, Meta(description="Whether to read subjects; otherwise the column is NULL")] = True


class Mail(msgspec.Struct, frozen=True):
    """One row; addresses are in lower case, ``sent_at`` is in UTC, and what a message does not say is NULL."""

    message_id: str | None
    sent_at: str | None
    sender: str | None
    recipients: list[str]
    subject: str | None
    bytes: int


SPEC = ComponentSpec(
    name="mail.mbox_extractor",
    version="1.0.0",
    summary="Reads the headers of mails out of mbox files.",
    modes=("read",),
)


def run(ctx: StepContext, config: Config, inputs: Mapping[str, duckdb.DuckDBPyRelation]) -> Produced:  # noqa: ARG001
    """One row for each message, in the order of the files; an empty file gives none."""
    files = find_source_files(ctx, config.path)
    spooled = ctx.work_dir / "mails.jsonl"
    count = undated = 0
    with spooled.open("wb") as spool:
        for count, mail in enumerate(_mails(files, subjects=config.subjects), start=1):
            spool.write(msgspec.json.encode(mail) + b"\n")
            undated += mail.sent_at is None
            if count % _MESSAGES_BETWEEN_REPORTS == 0:
                ctx.progress(count)
            if ctx.cancel.cancelled:
                break  # the run is ending: what comes of this step is not used
    ctx.progress(count)
    ctx.metric("undated", undated, "messages")
    if undated:
        ctx.log.warning("%d of %d messages have no date that can be read", undated, count)
    columns = ", ".join(f"{name}: '{type_}'" for name, type_ in _COLUMNS.items())
    source = f"read_json({quote_literal(str(spooled))}, format='newline_delimited', columns={{{columns}}})"
    return Produced(rows=ctx.con.sql(f"FROM {source}"), row_count=count)


def _mails(files: tuple[str, ...], *, subjects: bool) -> Iterator[Mail]:
    for file in files:
        _refuse_what_is_no_mbox(file)
        archive = mbox(file, create=False)
        try:
            for key in archive.iterkeys():
                yield _mail(archive.get_message(key), len(archive.get_bytes(key)), subjects=subjects)
        finally:
            archive.close()


def _mail(message: Message, size: int, *, subjects: bool) -> Mail:
    recipients = _addresses(message, "To") + _addresses(message, "Cc")
    return Mail(
        message_id=_text(message["Message-ID"]),
        sent_at=_sent_at(message),
        sender=next(iter(_addresses(message, "From")), None),
        recipients=recipients,
        subject=_text(message["Subject"]) if subjects else None,
        bytes=size,
    )


def _addresses(message: Message, header: str) -> list[str]:
    texts = [text for value in message.get_all(header, []) if (text := _text(value))]
    return [address.lower() for _, address in getaddresses(texts) if address]


def _sent_at(message: Message) -> str | None:
    try:
        return parsedate_to_datetime(str(message["Date"])).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        return None


def _text(header: object) -> str | None:
    """A header as text on one line, decoded where it can be; None where there is none."""
    if header is None:
        return None
    try:
        text = str(make_header(decode_header(str(header))))
    except (MessageError, LookupError, ValueError):
        text = str(header)
    return " ".join(text.encode("utf-8", "replace").decode().split())


def _refuse_what_is_no_mbox(file: str) -> None:
    with Path(file).open("rb") as opened:
        start = opened.read(5)
    if start not in (b"", b"From "):
        raise OsirisError(
            f"{file} is not in mbox format",
            "A file of that format begins with the word From and a space; one .eml file is a single message.",
            code="extract.not_mbox",
            exit_code=ExitCode.PIPELINE_FAILED,
            path=file,
        )
