"""``osiris.yaml``, typed: its shape, its rules, and how it is read."""

from osiris.config.load import base_from_environment, load_config, load_raw_config, parse_run_id_format
from osiris.config.rules import select_profile
from osiris.config.schema import (
    CONFIG_NAME,
    RUN_ID_TOKENS,
    FilesystemConfig,
    LedgerConfig,
    NamingConfig,
    OsirisConfig,
    ProfilesConfig,
    RuntimeConfig,
)

__all__ = [
    "CONFIG_NAME",
    "RUN_ID_TOKENS",
    "FilesystemConfig",
    "LedgerConfig",
    "NamingConfig",
    "OsirisConfig",
    "ProfilesConfig",
    "RuntimeConfig",
    "base_from_environment",
    "load_config",
    "load_raw_config",
    "parse_run_id_format",
    "select_profile",
]
