"""Which homes, and how their logs become an alignment set."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from casas_ray.config.base import CountOrNone, Fraction, Names, Seed, Settings


class WindowConfig(Settings):
    """How a stream of events is cut into windows."""

    kind: Literal["fixed_length", "fixed_duration"] = "fixed_length"
    """Windows of so many events, or of so many seconds."""

    length: Annotated[int, Field(ge=2, le=4096)] = 20
    """Events in a window of fixed length."""

    seconds: Annotated[float, Field(gt=0.0, le=86_400.0)] = 60.0
    """Duration of a window of fixed duration; it starts at an event."""

    overlap: Fraction = 0.5
    """Share of a window (of its events, or of its seconds) that the next window holds again."""

    min_events: CountOrNone = 0
    """A window of fewer events is left out; 0 takes 8 for fixed length and 3 for fixed duration."""

    max_gap_minutes: Annotated[float, Field(ge=0.0, le=10_080.0)] = 0.0
    """Cut also where nothing happens for longer: in a log of few events, twenty of them span hours
    and say nothing in common. 0 cuts at no gap."""

    presegmented: bool = False
    """Cut within runs of one activity label: an ORACLE variant, which needs what nobody has in a
    home without labels. Every table made from it says so."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        # A setting that does nothing would make equal sets under two fingerprints, and two arms of
        # a study that differ in nothing.
        unused = "seconds" if self.kind == "fixed_length" else "length"
        if getattr(self, unused) != type(self).model_fields[unused].default:
            raise ValueError(f"{unused} has no effect on windows of kind {self.kind}")
        if self.kind == "fixed_length" and self.least_events > self.length:
            raise ValueError(f"min_events {self.least_events} is more than length {self.length}")
        return self

    @property
    def least_events(self) -> int:
        """Events that a window has at least."""
        usual = min(8, self.length) if self.kind == "fixed_length" else 3
        return self.min_events or usual

    @property
    def stride(self) -> int:
        """Events from the start of one window of fixed length to the start of the next."""
        return max(1, round(self.length * (1.0 - self.overlap)))


class CleanConfig(Settings):
    """What is done to events before anything else."""

    debounce_seconds: Annotated[float, Field(ge=0.0, le=3600.0)] = 0.0
    """Events of one sensor that follow each other within this time are one burst, of which the
    first stays, and the last where it says something else. The others are set aside as lines that
    are not used. 0 keeps all."""


class SplitConfig(Settings):
    """Which days train, validate and test; days are split before windows are cut."""

    kind: Literal["chronological", "random_days", "leave_home_out"] = "chronological"
    """`chronological`: the earliest days train, the latest are tested. `random_days`: days drawn by
    seed, which is easier, for neighbouring days are alike; tables say so. `leave_home_out`: all
    days of one home are tested, the latest days of the others validate."""

    val_share: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.1
    """Share of the days that choose; at least one day."""

    test_share: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2
    """Share of the days that judge once; at least one day. No days of the homes that train are
    tested when a home is left out."""

    seed: Seed = 0
    """Draws the days of `random_days`."""

    held_out: str = ""
    """The home that `leave_home_out` tests."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.val_share + self.test_share >= 1.0:
            raise ValueError("val_share + test_share leave no days to train on")
        if self.seed and self.kind != "random_days":
            raise ValueError(f"seed has no effect on a {self.kind} split")
        if bool(self.held_out) != (self.kind == "leave_home_out"):
            raise ValueError("held_out names the home of leave_home_out, and of nothing else")
        return self


class CaptionConfig(Settings):
    """What is said of a window, from the window and the home's facts alone."""

    style: Literal["natural", "structured"] = "natural"
    """`natural` varies its wording by seed; `structured` always says started, ended, mainly where
    and the two busiest sensors, so that all captions of a window are one."""

    per_window: Annotated[int, Field(ge=1, le=16)] = 4
    """For training windows, which draw one of them each time; held-out windows have just the
    first."""

    seed: Seed = 0
    """Varies the wording; a window's captions depend on this and on the window only."""

    file: str = ""
    """A JSON file of captions from elsewhere, `{"captions": [{"sample_id", "captions": [...]}]}`,
    in place of the style; `casas-ray prepare HOME --json` writes the windows with their ids."""


class ContextConfig(Settings):
    """What the encoder reads of the events around a window. Never one of another split's days: the
    first windows of a split have little before them, or nothing."""

    side: Literal["none", "past", "both"] = "none"
    """Nothing beside the window, the events before it, or half of them before and half after it.
    With `past`, attention is causal: an event knows those before it alone."""

    events: Annotated[int, Field(ge=1, le=4096)] = 80
    """How many; an odd one is read before the window."""

    windows: Annotated[int, Field(ge=1, le=256)] = 1
    """Neighbouring windows that are trained on in one pass, which reads `events` around all of
    them: far cheaper than one by one, and the last of them see more of the past. Days with fewer
    windows between days of other splits are then not trained on. It must divide
    optim.batch_size, which still counts windows. Held-out windows are read one by one."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for name in ("events", "windows"):
            default = type(self).model_fields[name].default
            if self.side == "none" and getattr(self, name) != default:
                raise ValueError(f"{name} has no effect where side is none")
        return self

    @property
    def before(self) -> int:
        """Events read before the window, at most."""
        return {"none": 0, "past": self.events, "both": self.events - self.after}[self.side]

    @property
    def after(self) -> int:
        """Events read after the window, at most."""
        return self.events // 2 if self.side == "both" else 0


class SimulateConfig(Settings):
    """The simulated home, used only where it is asked for."""

    days: Annotated[int, Field(ge=3, le=3660)] = 30
    """Days that are lived."""

    seed: Seed = 0
    """Other seeds live other days."""

    residents: Annotated[int, Field(ge=1, le=2)] = 1
    """Two residents move at the same time; their activities are marked R1_ and R2_."""


class DataConfig(Settings):
    """Which homes, and how their logs become an alignment set."""

    homes: Names = ("milan",)
    """Names of homes, with commas between them: several become one set, with one vocabulary."""

    simulated: bool = False
    """Use a simulated log of each home. Never turned on by itself."""

    drop_types: Names = ("temperature", "battery", "light_level")
    """Sensor types left out of the windows; by type, never by what a value looks like."""

    simulate: SimulateConfig = SimulateConfig()
    clean: CleanConfig = CleanConfig()
    windows: WindowConfig = WindowConfig()
    split: SplitConfig = SplitConfig()
    captions: CaptionConfig = CaptionConfig()
    context: ContextConfig = ContextConfig()

    @model_validator(mode="after")
    def _homes_fit(self) -> Self:
        if not self.homes or len(set(self.homes)) < len(self.homes):
            raise ValueError("homes wants at least one name, and none of them twice")
        held_out = self.split.held_out
        if held_out and (held_out not in self.homes or len(self.homes) < 2):
            raise ValueError(
                f"split.held_out {held_out} must be one of two homes or more in data.homes"
            )
        return self

    @property
    def of_set(self) -> Self:
        """What shapes the alignment set: all but how much of it is read for a window."""
        return self.model_copy(update={"context": ContextConfig()})

    @property
    def label(self) -> str:
        """The homes as one word: `milan`, `milan+aruba`."""
        return "+".join(self.homes)

    @property
    def caveats(self) -> tuple[str, ...]:
        """What every table made from this data has to say of it."""
        caveats = [
            ("SIMULATED home", self.simulated),
            ("ORACLE windows", self.windows.presegmented),
            ("random days", self.split.kind == "random_days"),
            (f"home {self.split.held_out} left out", self.split.kind == "leave_home_out"),
        ]
        return tuple(caveat for caveat, applies in caveats if applies)
