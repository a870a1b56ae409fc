"""Options and arguments that take a path, or say where runs lie."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from casas_ray.cli import completion
from casas_ray.cli.console import waiting

if TYPE_CHECKING:
    from casas_ray.records.storage import Which


def a_path(text: str) -> Path:
    """A path that was typed.

    Raises:
        BadParameter: it is empty, which Python would take for the current folder.
    """
    if not text.strip():
        raise typer.BadParameter("a path cannot be empty; `.` is the current folder")
    return Path(text)


def path_option(*names: str, help: str) -> typer.models.OptionInfo:
    """An option that takes a path."""
    return typer.Option(*names, help=help, parser=a_path, metavar="PATH")


@dataclass(frozen=True)
class Place:
    """Where runs lie, as it was typed: a folder, or an address in a storage."""

    text: str

    @property
    def is_address(self) -> bool:
        """Whether it is none of this disk."""
        return "://" in self.text

    def here(self, checkpoints: "Which" = "none") -> Path:
        """The folder on this disk: itself, or the copy of what lies at the address, made now.

        Raises:
            SettingsError, SetupError, DataError, RefusedError: as for `copy_here`.
        """
        if not self.is_address:
            return Path(self.text)
        from casas_ray.records.storage_mirror import copy_here  # pyarrow's file systems

        with waiting(f"reading {self.text}"):
            return copy_here(self.text, checkpoints=checkpoints)

    def all_here(self) -> list[Path]:
        """The folders on this disk: as `here`, of each run and study that lies there.

        Raises:
            SettingsError, SetupError, DataError, RefusedError: as for `copies_here`.
        """
        if not self.is_address:
            return [Path(self.text)]
        from casas_ray.records.storage_mirror import copies_here  # as above

        with waiting(f"reading {self.text}"):
            return copies_here(self.text, checkpoints="none")


def a_place(text: str) -> Place:
    """A place that was typed.

    Raises:
        BadParameter: it is empty.
    """
    return Place(text) if "://" in text else Place(str(a_path(text)))


RunOrStudy = Annotated[
    Place,
    typer.Argument(
        metavar="RUN|STUDY",
        help="The folder of a run or of a study, or its address in a storage.",
        parser=a_place,
        autocompletion=completion.runs,
    ),
]
