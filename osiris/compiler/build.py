"""Build folders on disk: written once, checked for ever after.

A build goes into a temporary folder beside its place, is synced file by file, and is renamed into place. A folder that
stands already, or that another process finished first, is checked and never rewritten.
"""

from __future__ import annotations

import errno
from collections.abc import Collection
from pathlib import Path
from typing import TypeVar

import msgspec

from osiris.canonical import sha256_file, sha256_hex
from osiris.compiler.compile import Compiled
from osiris.compiler.manifest import (
    DEFAULT_HASH_ALGO,
    Manifest,
    ManifestStep,
    compute_manifest_hash,
    compute_payload_digest,
)
from osiris.compiler.render import FINGERPRINTS_FILE, MANIFEST_FILE, BuildFingerprints, json_file, parse_manifest
from osiris.durable import (
    make_directory,
    make_temporary_beside,
    move_into_place,
    remove_tree,
    sync_directory,
    write_file,
)
from osiris.errors import OsirisError, disk_error

ConfigT = TypeVar("ConfigT", bound=msgspec.Struct)

_TAKEN = frozenset({errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR})


def write_build(
    compiled: Compiled, target: Path, algo: str = DEFAULT_HASH_ALGO, left_out: Collection[str] = ()
) -> bool:
    """Put the build into the folder ``target``; True when this call wrote it, False when it stood there already.

    Files that are ``left_out`` are not written; a build that stands keeps the files that it was written with.
    Raises OsirisError ``build.drift`` where ``target`` holds something else, ``disk.failed`` where the disk does.
    """
    if not target.exists() and _write_new(compiled, target, left_out):
        return True
    manifest, differences = _inspect(target, algo)
    if manifest is not None and manifest.manifest_hash != compiled.manifest.manifest_hash:
        differences.append(f"{MANIFEST_FILE} belongs to another build")
    _refuse_drift(target, differences)
    return False


def _write_new(compiled: Compiled, target: Path, left_out: Collection[str]) -> bool:
    temporary: Path | None = None
    try:
        make_directory(target.parent)
        temporary = make_temporary_beside(target)
        files = compiled.files_without(left_out)
        for path, content in files.items():
            file = temporary / path
            make_directory(file.parent)
            write_file(file, content, sync=True)
        for folder in {(temporary / path).parent for path in files}:
            sync_directory(folder)
        move_into_place(temporary, target)
    except OSError as error:
        if temporary:
            remove_tree(temporary)
        if error.errno in _TAKEN and target.exists():
            return False
        raise disk_error("write the build", target, error) from error
    except BaseException:
        if temporary:
            remove_tree(temporary)
        raise
    return True


def verify_build(target: Path, algo: str = DEFAULT_HASH_ALGO) -> list[str]:
    """What is wrong with the build in the folder ``target``, a sentence each, beginning with the file; [] for nothing.

    Files edited, missing or added are found against ``fingerprints.json``, and that file and the step configs against
    the manifest, whose hash is computed anew.
    """
    return _inspect(target, algo)[1]


def _inspect(target: Path, algo: str) -> tuple[Manifest | None, list[str]]:
    try:
        manifest = parse_manifest((target / MANIFEST_FILE).read_bytes(), MANIFEST_FILE)
        fingerprints = msgspec.json.decode((target / FINGERPRINTS_FILE).read_bytes(), type=BuildFingerprints)
        found = _wrong_files(target, fingerprints) + _wrong_fingerprints(target, manifest, fingerprints)
    except FileNotFoundError as error:
        return None, [f"{Path(error.filename).name} is missing"]
    except (IsADirectoryError, NotADirectoryError) as error:
        return None, [f"{Path(error.filename).name} is not a file"]
    except OSError as error:
        raise disk_error("read the build", target, error) from error
    except OsirisError as error:
        return None, [f"{MANIFEST_FILE} cannot be read: {error.problem}"]
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return None, [f"{FINGERPRINTS_FILE} cannot be read: {error}"]
    return manifest, found + _wrong_hash(manifest, algo)


def _wrong_files(target: Path, fingerprints: BuildFingerprints) -> list[str]:
    there = {path.relative_to(target).as_posix(): path for path in target.rglob("*") if not path.is_dir()}
    there |= {path.relative_to(target).as_posix(): path for path in target.rglob("*") if path.is_symlink()}
    listed = {*fingerprints.files, FINGERPRINTS_FILE}
    wrong = [f"{path} is missing" for path in sorted(listed - there.keys())]
    wrong += [f"{path} was added" for path in sorted(there.keys() - listed)]
    for path, expected in fingerprints.files.items():
        if path in there and (there[path].is_symlink() or sha256_file(there[path]) != expected):
            wrong.append(f"{path} was edited")
    return wrong


def _wrong_fingerprints(target: Path, manifest: Manifest, fingerprints: BuildFingerprints) -> list[str]:
    expected = {step.config: step.config_digest for step in manifest.steps}
    agree = (
        fingerprints.manifest_hash == manifest.manifest_hash
        and fingerprints.sources == manifest.fingerprints
        and expected.items() <= fingerprints.files.items()
        and json_file(fingerprints) == (target / FINGERPRINTS_FILE).read_bytes()
    )
    return [] if agree else [f"{FINGERPRINTS_FILE} does not fit {MANIFEST_FILE}"]


def _wrong_hash(manifest: Manifest, algo: str) -> list[str]:
    right = (
        manifest.manifest_hash == compute_manifest_hash(manifest, algo)
        and manifest.payload_digest == compute_payload_digest(manifest)
        and manifest.manifest_short != ""
        and manifest.manifest_hash.startswith(manifest.manifest_short)
    )
    return [] if right else [f"{MANIFEST_FILE} does not have the hash that it states"]


def _refuse_drift(target: Path, differences: list[str]) -> None:
    if differences:
        raise OsirisError(
            f"{target}: the build was changed after it was written: {'; '.join(differences)}",
            f"Remove the folder {target} and run `osiris compile` again.",
            code="build.drift",
            path=str(target),
        )


def load_build(manifest_path: Path, algo: str = DEFAULT_HASH_ALGO) -> Manifest:
    """The manifest of the build that ``manifest_path`` stands in, after a check of all its files.

    Raises OsirisError ``build.missing`` where there is none, ``build.drift`` with the files' names where it was
    changed.
    """
    if not manifest_path.is_file():
        raise OsirisError(
            f"{manifest_path}: there is no such manifest",
            "Run `osiris compile` on the pipeline first.",
            code="build.missing",
            path=str(manifest_path),
        )
    manifest, differences = _inspect(manifest_path.parent, algo)
    _refuse_drift(manifest_path.parent, differences)
    assert manifest is not None  # it is only where there are differences
    return manifest


def load_step_config(build_dir: Path, step: ManifestStep, config_type: type[ConfigT]) -> ConfigT:
    """The resolved config of ``step`` from the build folder, checked against the manifest's digest."""
    path = build_dir / step.config
    try:
        content = path.read_bytes()
    except OSError as error:
        raise disk_error("read", path, error) from error
    try:
        if sha256_hex(content) == step.config_digest:
            return msgspec.json.decode(content, type=config_type)
        reason = "it was changed after it was written"
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        reason = f"{step.component} does not take it: {error}"
    raise OsirisError(
        f"{path}: the config of the step {step.id!r} cannot be used: {reason}",
        f"Remove the folder {build_dir} and run `osiris compile` again.",
        code="build.drift",
        path=str(path),
    )
