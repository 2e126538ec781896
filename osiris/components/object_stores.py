"""Object stores: what ``s3://``, ``gs://`` and ``az://`` paths mean, how a store is reached, and what may go wrong.

The library behind them is obstore. Its messages repeat URLs and answers of the server, in which signatures may stand,
so nothing of them is shown but the server's own code.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from osiris.components.base import ADDED_LATER, StepContext
from osiris.errors import ExitCode, OsirisError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

SCHEMES = ("s3", "gs", "az")

StoreConnection = Annotated[
    str,
    Meta(
        description='For a path in an object store: "@s3.ALIAS"; left out: what the environment says',
        extra_json_schema=ADDED_LATER,
    ),
]

_URL = re.compile(r"(s3|gs|az)://([^/]*)/?(.*)", re.DOTALL)
_STATUS = re.compile(r"status code: (\d{3})")
_SERVER_CODE = re.compile(r"<Code>(\w{1,80})</Code>")
# Without credentials the library asks the machine's own metadata service, which only a machine in that cloud has.
_NO_CREDENTIALS = re.compile(
    r"credential error|performing \w+ http://(?:169\.254\.169\.254|metadata)|must be specified"
)
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound")
_REFUSED_STATUS = ("401", "403")
_TIMES = {"connect_timeout": "5s", "timeout": "60s"}
_RETRIES = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}
_OTHERS = "The connection takes: {}."


class ObjectPath(msgspec.Struct, frozen=True, kw_only=True):
    """``scheme://bucket/key``; for ``az`` the bucket is a container."""

    scheme: str
    bucket: str
    key: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}/{self.key}"


class S3Connection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A connection of the family ``s3``; ``endpoint`` is for stores that are not AWS, such as MinIO."""

    access_key_id: str = ""
    secret_access_key: str = ""
    session_token: str = ""
    region: str = ""
    endpoint: str = ""
    virtual_hosted_style: bool = False
    anonymous: bool = False
    allow_http: bool = False


class GsConnection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A connection of the family ``gs``: a service account as JSON, or the path of a file with it."""

    service_account_key: str = ""
    service_account_path: str = ""
    anonymous: bool = False


class AzConnection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A connection of the family ``az``: an account, and a key or a shared access signature for it."""

    account_name: str = ""
    account_key: str = ""
    sas_token: str = ""
    endpoint: str = ""
    anonymous: bool = False
    allow_http: bool = False


def parse_object_path(path: str) -> ObjectPath | None:
    """What ``path`` names in an object store; None where it is no such path, an error where its key cannot be one."""
    found = _URL.fullmatch(path)
    if found is None:
        return None
    scheme, bucket, key = found.groups()
    if not bucket or not key or any(part in ("", ".", "..") for part in key.split("/")):
        raise OsirisError(
            f"{path!r} does not name an object", f"Write {scheme}://BUCKET/KEY.", code="config.unsupported_path"
        )
    return ObjectPath(scheme=scheme, bucket=bucket, key=key)


def open_store(ctx: StepContext, path: ObjectPath) -> ObjectStore:
    """The store of ``path``, with the step's connection or else with what the environment says. Asks no server."""
    with store_errors(path):
        try:
            return _OPENERS[path.scheme](path.bucket, ctx.connection)
        except msgspec.ValidationError as cause:
            hint = _OTHERS.format(", ".join(_SHAPES[path.scheme].__struct_fields__))
            raise _failed("connection.invalid", f"the connection of {path} is wrong: {cause}", hint) from None


def _open_s3(bucket: str, connection: Mapping[str, Any] | None) -> ObjectStore:
    library = _library()
    if connection is None:
        # Said once more, because options for the client replace those that the library takes from the environment.
        allow_http = os.environ.get("AWS_ALLOW_HTTP", "").lower() == "true"
        return _opened(library.S3Store, bucket, {}, "", allow_http=allow_http)
    wish = msgspec.convert(connection, S3Connection, strict=False)
    if bool(wish.access_key_id) != bool(wish.secret_access_key):
        raise msgspec.ValidationError("access_key_id and secret_access_key go together")
    credential = {
        "access_key_id": wish.access_key_id,
        "secret_access_key": wish.secret_access_key,
        "token": wish.session_token or None,
        "expires_at": None,
    }
    options = {
        "region": wish.region,
        "endpoint": wish.endpoint,
        "virtual_hosted_style_request": wish.virtual_hosted_style,
        "skip_signature": wish.anonymous,
        # Not as options: those of the environment, such as a session token, would be mixed with them.
        "credential_provider": (lambda: credential) if wish.access_key_id else None,
    }
    return _opened(library.S3Store, bucket, options, wish.endpoint, allow_http=wish.allow_http)


def _open_gs(bucket: str, connection: Mapping[str, Any] | None) -> ObjectStore:
    wish = msgspec.convert(connection or {}, GsConnection, strict=False)
    options = {
        "service_account_key": wish.service_account_key,
        "service_account": wish.service_account_path,
        "skip_signature": wish.anonymous,
    }
    return _opened(_library().GCSStore, bucket, options, "", allow_http=False)


def _open_az(bucket: str, connection: Mapping[str, Any] | None) -> ObjectStore:
    library = _library()
    if connection is None:
        return _opened(library.AzureStore, bucket, {}, "", allow_http=False)
    wish = msgspec.convert(connection, AzConnection, strict=False)
    secret = {"access_key": wish.account_key} if wish.account_key else {"sas_token": wish.sas_token}
    credential = {**secret, "expires_at": None}
    options = {
        "account_name": wish.account_name,
        "endpoint": wish.endpoint,
        "skip_signature": wish.anonymous,
        "credential_provider": (lambda: credential) if wish.account_key or wish.sas_token else None,
    }
    return _opened(library.AzureStore, bucket, options, wish.endpoint, allow_http=wish.allow_http)


_OPENERS = {"s3": _open_s3, "gs": _open_gs, "az": _open_az}
_SHAPES: dict[str, type[msgspec.Struct]] = {"s3": S3Connection, "gs": GsConnection, "az": AzConnection}


def _opened(store: Any, bucket: str, options: Mapping[str, Any], endpoint: str, *, allow_http: bool) -> ObjectStore:
    if endpoint.startswith("http://") and not allow_http:
        raise msgspec.ValidationError("its endpoint is http://, and allow_http is not true")
    given = {name: value for name, value in options.items() if value}
    client = {**_TIMES, **({"allow_http": True} if allow_http else {})}
    return store(bucket, **given, client_options=client, retry_config=_RETRIES)  # type: ignore[no-any-return]


def _library() -> Any:
    try:
        import obstore.store  # noqa: PLC0415 - an extra
    except ImportError as cause:
        problem = "object stores need the package obstore, which is not installed"
        raise _failed("connection.extra_missing", problem, "Install it: pip install 'osiris[objects]'.") from cause
    return obstore.store


@contextlib.contextmanager
def store_errors(path: ObjectPath, *, writing: bool = False) -> Iterator[None]:
    """Turn what obstore raises for ``path`` into an OsirisError without any of its text."""
    _library()
    from obstore.exceptions import BaseError  # noqa: PLC0415 - an extra

    try:
        yield
    except (BaseError, FileNotFoundError, ValueError) as cause:
        # The cause itself goes: it holds URLs and the server's answer.
        raise _described(path, cause, "write" if writing else "extract") from None


def _described(path: ObjectPath, cause: Exception, verb: str) -> OsirisError:
    text = str(cause).partition("\n\nDebug source:")[0]
    status = (_STATUS.findall(text) or [""])[-1]
    answer = (_SERVER_CODE.findall(text) or [f"status {status}"])[-1]
    bucket = f"{path.scheme}://{path.bucket}"
    if _NO_CREDENTIALS.search(text):
        hint = "Give the step a connection, or set the store's variables; see docs/files.md."
        return _failed("connection.refused", f"there are no usable credentials for {bucket}", hint)
    if answer in _NO_BUCKET:
        return _failed("connection.no_bucket", f"there is no bucket {bucket}", "Check its name, region and endpoint.")
    if status in _REFUSED_STATUS:
        problem = f"{bucket} refused access to {path.key!r}: {answer}"
        hint = "Check the connection's keys and what they permit, or, without a connection, those of the environment."
        return _failed("connection.refused", problem, hint)
    if isinstance(cause, FileNotFoundError):
        return _failed(f"{verb}.file_missing", f"there is no object {path}", "Check the key and the bucket.")
    if status == "412":
        problem = f"{path} was replaced while it was read"
        return _failed(f"{verb}.changed", problem, "Run the pipeline again when its writer is done.")
    if "HTTP error" in text and not status:
        hint = "Check the endpoint and the network; an http:// endpoint needs allow_http: true."
        return _failed("connection.unreachable", f"{bucket} cannot be reached", hint)
    if not status:
        return _failed("connection.invalid", f"{bucket} cannot be opened with these settings", "See docs/files.md.")
    return _failed(f"{verb}.io", f"{bucket} failed at {path.key!r}: {answer}", "Try again, or ask who runs the store.")


def _failed(code: str, problem: str, hint: str) -> OsirisError:
    return OsirisError(problem, hint, code=code, exit_code=ExitCode.PIPELINE_FAILED)
