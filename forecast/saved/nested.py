"""A folder around saved models: its own settings and files, and checksums that bind them to those of the models.

SETTINGS.yaml       format, class, and whatever the kind needs
FILE ...            of the kind
checksums.json      sha256 of them, and of the checksums of every model
PLACE/ ...          a saved model each
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from forecast.documents import yaml_of
from forecast.errors import ArtifactError
from forecast.files import write_new
from forecast.folders import CHECKSUMS, checked_files, checksums, refuse_absent, refuse_to_replace, whole_folder
from forecast.saved.artifact import FORMAT, plain_yaml, refuse_other_formats, refusing


class Saveable(Protocol):
    """What can be saved as a folder of its own."""

    def save(self, path: Path) -> Path: ...


@dataclass(frozen=True)
class Nested:
    """A kind of folder around saved models.

    Parameters
    ----------
    kind : str
        What it holds, in messages.
    of : str
        Name of the class that writes and reads it.
    settings : str
        Name of its YAML.
    files : tuple of str
        Names of its other files.
    models : str
        Pattern of where the models' files lie in it.
    """

    kind: str
    of: str
    settings: str
    models: str
    files: tuple[str, ...] = ()

    @property
    def own(self) -> str:
        """Pattern of the names of all files that such a folder may have."""
        return "|".join([*map(re.escape, (self.settings, *self.files, CHECKSUMS)), self.models])

    def write(
        self, path: Path, head: dict[str, Any], *, models: Mapping[str, Saveable], files: Mapping[str, bytes] = {}
    ) -> Path:
        """Write the folder, whole or not at all; `models` by the places where they go."""
        refuse_to_replace(path, self.settings, self.own, kind=self.kind)
        contents = {self.settings: plain_yaml({"format": FORMAT, "class": self.of, **head}), **files}
        with whole_folder(path) as folder:
            for name, content in contents.items():
                write_new(folder / name, content)
            for place, model in models.items():
                contents[f"{place}/{CHECKSUMS}"] = (model.save(folder / place) / CHECKSUMS).read_bytes()
            write_new(folder / CHECKSUMS, checksums(contents))
        return path

    def read(self, path: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
        """Return the settings and the other files of a folder, checked; the models are not read.

        Raises
        ------
        AbsentError
            If there is no such folder.
        ArtifactError
            If it is damaged, of a newer format, or of another class.
        """
        refuse_absent(path, self.settings, kind=self.kind)
        refuse_other_formats(path / self.settings)
        files = checked_files(path, [self.settings, *self.files])
        with refusing(path, kind=self.kind):
            head: dict[str, Any] = yaml_of(files.pop(self.settings), path / self.settings)
            if head["class"] != self.of:
                raise ArtifactError(f"its class is {head['class']!r}.")
        return head, files

    def check_models(self, path: Path, places: Sequence[str]) -> None:
        """Refuse models that are not those which were saved with this folder."""
        checked_files(path, [f"{place}/{CHECKSUMS}" for place in places])
