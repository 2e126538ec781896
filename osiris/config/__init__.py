"""``osiris.yaml``, typed: its shape, its rules, and how it is read."""

from osiris.config.effective import EffectiveValue, effective_values
from osiris.config.environment import VARIABLES, choose_run_id_tokens
from osiris.config.keys import ConfigValue, config_keys, config_value
from osiris.config.load import LoadedConfig, load_config, load_raw_config
from osiris.config.naming import OF_ONE_RUN, TOKENS, is_run_ts_format
from osiris.config.rules import select_profile
from osiris.config.schema import (
    CONFIG_NAME,
    RUN_ID_TOKENS,
    ArtifactsConfig,
    FilesystemConfig,
    LedgerConfig,
    NamingConfig,
    OsirisConfig,
    ProfilesConfig,
    RetentionConfig,
    RuntimeConfig,
)

__all__ = [
    "CONFIG_NAME",
    "OF_ONE_RUN",
    "RUN_ID_TOKENS",
    "TOKENS",
    "VARIABLES",
    "ArtifactsConfig",
    "ConfigValue",
    "EffectiveValue",
    "FilesystemConfig",
    "LedgerConfig",
    "LoadedConfig",
    "NamingConfig",
    "OsirisConfig",
    "ProfilesConfig",
    "RetentionConfig",
    "RuntimeConfig",
    "choose_run_id_tokens",
    "config_keys",
    "config_value",
    "effective_values",
    "is_run_ts_format",
    "load_config",
    "load_raw_config",
    "select_profile",
]
