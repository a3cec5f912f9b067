"""Releases of dependencies that must not be loaded."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from forecast.errors import ConfigError

KNOWN_BAD = (  # package, release, reason with its source
    ("lightning", "2.6.2", "it carries malware that runs on import (GHSA-w37p-236h-pfx3)"),
    ("lightning", "2.6.3", "it carries malware that runs on import (GHSA-w37p-236h-pfx3)"),
    ("pytorch-lightning", "2.6.2", "it is named in the advisory on lightning (GHSA-w37p-236h-pfx3)"),
    ("pytorch-lightning", "2.6.3", "it is named in the advisory on lightning (GHSA-w37p-236h-pfx3)"),
)


def refuse_known_bad() -> None:
    """Refuse an environment that holds a release known to do harm, before it is imported.

    Raises
    ------
    ConfigError
        Names the release, the reason and the way out.
    """
    for package, release, reason in KNOWN_BAD:
        try:
            installed = version(package)
        except PackageNotFoundError:
            continue
        if installed == release:
            raise ConfigError(
                f"{package} {release} is installed, and is not loaded: {reason}. Treat the secrets of this machine as "
                f"known to others, and replace it: pip install --upgrade '{package}!=2.6.2,!=2.6.3'."
            )
