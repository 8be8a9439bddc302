"""YAML and environment in, frozen configuration out; errors name file, line, key path, what was found and what is allowed.

Nothing else in qobs reads a configuration file or the environment. The source types are an argument, so that this
package knows no room.
"""

from qobs.config.credentials import OnSecret
from qobs.config.load import NOT_YET_USED, OVERRIDES, ignore_secret, load, parse
from qobs.config.records import (
    Backups,
    CalibrationFreshness,
    Config,
    Indicators,
    JobLatency,
    Limits,
    Listen,
    Log,
    Maintenance,
    Otlp,
    QueueWait,
    Reference,
    Retention,
    SourceConfig,
    StoreUrl,
    Tier,
)
from qobs.config.schema import documented_keys, json_schema, markdown_table

__all__ = [
    "NOT_YET_USED",
    "OVERRIDES",
    "Backups",
    "CalibrationFreshness",
    "Config",
    "Indicators",
    "JobLatency",
    "Limits",
    "Listen",
    "Log",
    "Maintenance",
    "OnSecret",
    "Otlp",
    "QueueWait",
    "Reference",
    "Retention",
    "SourceConfig",
    "StoreUrl",
    "Tier",
    "documented_keys",
    "ignore_secret",
    "json_schema",
    "load",
    "markdown_table",
    "parse",
]
