"""Data given to a command in place of homes: alignment JSON, or the name of a prepared set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from casas_ray import paths
from casas_ray.cli.console import say
from casas_ray.cli.typed_path import path_option
from casas_ray.config import DataConfig, flat, parse_overrides
from casas_ray.errors import SettingsError
from casas_ray.files import shown
from casas_ray.records.own_folder import refuse_strangers

if TYPE_CHECKING:
    from casas_ray.corpus.alignment import PreparedSet

# The earlier scripts' options are typed with underscores; both spellings stay.
TrainData = Annotated[
    Path | None, path_option("--train-data", "--train_data", help="Alignment JSON.")
]
Vocab = Annotated[Path | None, path_option("--vocab", help="Its vocabulary.")]
ValData = Annotated[
    Path | None,
    path_option("--val-data", "--val_data", help="Validation JSON; else val.json beside."),
]
TestData = Annotated[
    Path | None, path_option("--test-data", "--test_data", help="Test JSON, if any.")
]
OutputDir = Annotated[Path | None, path_option("--output-dir", "--output_dir", help="Its folder.")]

Files = Mapping[str, Path | None]
"""train_data, vocab, val_data and test_data, each a file or None."""

_HOMES = "data.homes"


@dataclass(frozen=True)
class Given:
    """What stands in place of homes: files of alignment JSON, or else the name of a set."""

    files: Mapping[str, Path]
    name: str

    def prepared(self) -> "PreparedSet":
        """The set itself, checked; from files, made where there is none of them yet.

        Raises:
            DataError: a file or a set cannot be used.
        """
        if self.files:
            return _from_json(self.files)
        from casas_ray.corpus.named_sets import find_set

        return find_set(self.name)

    def say_idle(self, settings: Mapping[str, object], data: DataConfig, config: Path) -> None:
        """Say which settings of a configuration file have no effect on the set."""
        held = {f"data.{path}": value for path, value in flat(data).items()}
        # Where no file is given, data.homes is what names the set.
        names = held.keys() & settings.keys() - (set() if self.files else {_HOMES})
        for path in sorted(names):
            if settings[path] != held[path]:
                say(f"{path} in {config} has no effect: the windows of the set are cut already.")


def given_data(
    files: Files, words: Sequence[str], homes: object, *, simulated: bool
) -> tuple[Given | None, list[str]]:
    """What is given in place of homes, and the words without its name; None for homes.

    `homes` is what data.homes is where no word changes it. Nothing is prepared.

    Raises:
        SettingsError: a file is missing, or something else is said of data, which has no effect.
    """
    typed = parse_overrides(words)
    given = _completed({name: path for name, path in files.items() if path is not None})
    name = "" if given else _set_named(_names(typed.get(_HOMES, homes)))
    if not given and not name:
        return None, list(words)
    of_data = [word for word in words if word.startswith("data.")]
    others = [word for word in words if word.partition("=")[0].strip() != _HOMES]
    idle = of_data if given else [word for word in of_data if word in others]
    if simulated or idle:
        raise SettingsError(
            f"{'--simulated' if simulated else idle[0]} has no effect on "
            f"{'alignment JSON' if given else f'the prepared set {name}'}, whose windows are cut "
            "already.",
            hint="leave it out, or prepare a raw log instead.",
        )
    return Given(given, name), others


def settings_of_set(prepared: "PreparedSet") -> DataConfig:
    """What the set was made with."""
    from casas_ray.corpus.named_sets import settings_of  # a plan of homes reads no set

    return settings_of(prepared)


def own_or_none(folder: Path | None) -> Path | None:
    """The folder that somebody named for a run or a study, if any, once it is known to be fit for
    one: what follows takes minutes, and writes.

    Raises:
        RefusedError, SettingsError, SetupError: it is not.
    """
    if folder is None:
        return None
    refuse_strangers(folder.absolute())
    paths.require_writable(folder.absolute(), what="the folder")
    return folder.absolute()


def _names(homes: object) -> list[str]:
    parts = homes.split(",") if isinstance(homes, str) else homes
    if not isinstance(parts, list | tuple):
        return []  # what is no name at all is refused where it is a setting
    return [part.strip() for part in parts if isinstance(part, str) and part.strip()]


def _set_named(homes: Sequence[str]) -> str:
    if not any(map(paths.may_be_a_set, homes)):
        return ""
    from casas_ray.corpus.named_sets import set_named

    return set_named(homes)


def _completed(files: dict[str, Path]) -> dict[str, Path]:
    """The files, with val.json where it lies beside.

    Raises:
        SettingsError: one is missing.
    """
    if not files:
        return files
    if "train_data" in files and "val_data" not in files:
        beside = files["train_data"].with_name("val" + files["train_data"].suffix)
        if beside.is_file():
            say(f"validating on {shown(beside)}, which lies beside the training file")
            files["val_data"] = beside
    wanted = {"train_data": "--train-data", "vocab": "--vocab", "val_data": "--val-data"}
    missing = [flag for name, flag in wanted.items() if name not in files]
    if missing:
        raise SettingsError(
            f"alignment JSON needs {', '.join(missing)} too.",
            hint="--train-data train.json --vocab vocab.json --val-data val.json",
        )
    return files


def _from_json(files: Mapping[str, Path]) -> "PreparedSet":
    from casas_ray.corpus.exchange.reading import JsonFiles, prepare_json

    splits = ("train", "val", "test")
    windows = {split: files[f"{split}_data"] for split in splits if f"{split}_data" in files}
    return prepare_json(JsonFiles(windows, files["vocab"]))
