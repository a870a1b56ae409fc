"""What stands after the value on a log's line: a sensor's type, labels, begins and ends, notes.

    Sleep begin    Sleep="begin"    Sleep_begin    begin Sleep    Sleep,begin    Sleep
    Sleep end Bathe begin           Sleep end (approx.)           Control4-Motion Sleep begin

Everything is understood or counted; nothing here makes a line unusable.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from casas_ray.corpus.sensor_names import is_type, type_family
from casas_ray.corpus.stamps import is_time

BEGIN, END = "begin", "end"
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?%?")

# Published logs hold the typing error.
_BEGINS = frozenset({"begin", "begins", "begun", "began", "begub", "beginning"})
_ENDS = frozenset({"end", "ends", "ended", "ending"})
_STARTS = {"start": BEGIN, "started": BEGIN, "stop": END, "stopped": END, "finish": END}
_ASSIGNED = re.compile(
    r"\s*(?::*=+\s*|:+)(?=[\"'“”‘’]*(?:beg|end|start|stop|finish))", re.IGNORECASE
)
_BETWEEN = re.compile(r"[\s;,]+")
_EQUALS = re.compile(r"[\"'“”‘’]*=+[\"'“”‘’]*")
_ASIDE = re.compile(r"(?:^|(?<=\s))(?:(?:\([^()]*\)|\[[^\[\]]*\])(?=\s|$)|(?:#|//|--\s).*$)")
_IN_BRACKETS = re.compile(r"[(\[](\s*[A-Za-z]+\s*)[)\]]")
_GLUED = re.compile(
    r"(?P<label>.*[A-Za-z0-9])(?:[_\-.:/|](?P<mark>[A-Za-z]+)|(?P<camel>Begin|End))"
)
_JOINERS = frozenset({"and", "then", "&", "+", "/", "|"})
_COLONS = re.compile(r":[^\s:]+:")
_QUOTES = "\"'“”‘’"
_FRINGE = " \t,;:?!*.=" + _QUOTES


class Annotation(NamedTuple):
    """What the text after a value says."""

    type: str = ""
    label: str = ""
    """An activity that is named and neither begins nor ends here."""

    marks: tuple[tuple[str, str], ...] = ()
    """Activities that begin or end here, in order: (activity, begin or end)."""

    notes: tuple[str, ...] = ()
    """What else stood there, by kind, to be counted."""


@dataclass(frozen=True)
class Grammar:
    """How a log annotates, decided once for the whole log."""

    separated: bool = False
    """Whether columns are told apart by more than white space."""

    types: bool = False
    """Whether the first column after the value is the sensor's type."""

    starts: bool = False
    """Whether activities start and stop, and do not begin and end."""

    marks_first: bool = False
    """Whether marks stand before their labels, so that a word behind may be no part of one."""

    glued: bool = False
    """Whether marks hang on their labels: Sleep_begin, SleepBegin."""

    @classmethod
    def of(cls, tails: Iterable[Sequence[str]], *, separated: bool) -> "Grammar":
        """The grammar of a log, from the columns after the values of many of its lines."""
        every = [[text for text in tail if text.strip()] for tail in tails]
        filled = [tail for tail in every if tail]
        said = (tail[1:] if is_type(tail[0], strict=True) else tail for tail in filled)
        text = [" ".join(tail) for tail in said]
        plain = cls(separated=separated)
        kinds = [[plain.mark(word) for word in plain._split(each)] for each in text]
        begins = sum(BEGIN in each for each in kinds)
        before = sum(bool(each and each[0]) for each in kinds)
        typed = sum(is_type(tail[0]) for tail in filled)
        return cls(
            separated=separated,
            # A few words beside a log without types may sound like one: "battery changed".
            types=typed >= 0.9 * len(filled) and 2 * len(filled) > len(every),
            starts=not begins and _pairs_up(text),
            marks_first=before > begins,
            glued=_hangs(text),
        )

    @classmethod
    def of_labels(cls, labels: Collection[str], *, has_begins: bool) -> "Grammar":
        """How marks are written that were taken for labels, or for parts of them."""
        return cls(starts=not has_begins and _pairs_up(labels), glued=_hangs(labels))

    def mark(self, word: str) -> str:
        """`begin` or `end` for a word that means one; else nothing."""
        word = word.strip(_FRINGE).casefold()
        if word in _ENDS:
            return END
        if word in _BEGINS or _is_near(word, "begin"):
            return BEGIN
        return _STARTS.get(word, "") if self.starts else ""

    def read(self, tail: Sequence[str]) -> Annotation:
        """What the columns, or words, after a value say."""
        columns = [text.strip() for text in tail if text.strip()]
        if not columns:
            return Annotation()
        kind = ""
        if is_type(columns[0], strict=not self.types):
            kind = type_family(columns.pop(0))
        notes: list[str] = []
        if self.separated:
            columns = [text for text in columns if not _is_stray(text, notes)]
        label, marks = self._labelled(columns, notes)
        return Annotation(kind, label, marks, tuple(notes))

    def _labelled(
        self, columns: list[str], notes: list[str]
    ) -> tuple[str, tuple[tuple[str, str], ...]]:
        if self.separated and len(columns) > 1 and (marks := self._column(columns[0])):
            # A column that says it all leaves the others to speak for themselves.
            label, more = self._labelled(columns[1:], notes)
            notes += ["note after a mark"] if label else []
            return "", marks + more
        words = self._words(" ".join(columns), notes)
        if any(self.mark(word) for word in words):
            return "", self._marks(words, notes)
        if self.separated and len(columns) > 1:
            # Of several columns the first is the label; which other could be one, nobody knows.
            notes += ["column after the label"] * (len(columns) - 1)
            words = self._words(columns[0], [])
        return _label(_without_numbers(words, notes)), ()

    def _column(self, column: str) -> tuple[tuple[str, str], ...]:
        words = self._words(column, [])
        return self._marks(words, []) if any(self.mark(word) for word in words) else ()

    def _words(self, text: str, notes: list[str]) -> list[str]:
        text = _IN_BRACKETS.sub(self._out_of_brackets, text)
        words = self._split(_ASIDE.sub(" ", text))
        if not _ASIDE.search(text):
            return words
        if all(self.mark(word) for word in words) and (whole := self._split(text)):
            return whole  # beside nothing: `(nap) begin`
        notes.append("note beside an annotation")
        return words

    def _out_of_brackets(self, found: re.Match[str]) -> str:
        return f" {found[1]} " if self.mark(found[1]) else found[0]

    def _split(self, text: str) -> list[str]:
        words = _BETWEEN.split(_ASSIGNED.sub(" ", text).strip())
        words = [word for word in words if word.strip(_FRINGE)]
        return [part for word in words for part in self._unglued(word)]

    def _unglued(self, word: str) -> list[str]:
        # An equals sign that sets no mark apart is a letter of a label.
        parts = _EQUALS.split(word)
        if len(parts) > 1 and any(self.mark(part) for part in parts):
            return [part for part in parts if part.strip(_FRINGE)]
        found = _GLUED.fullmatch(word.strip(_FRINGE)) if self.glued else None
        mark = found and (found["mark"] or found["camel"])
        return [found["label"], mark] if found and mark and self.mark(mark) else [word]

    def _marks(self, words: list[str], notes: list[str]) -> tuple[tuple[str, str], ...]:
        if self.mark(words[0]) and len(words) > 1:  # `begin Sleep`
            words = _turned(_without_numbers(words, notes), self)
        marks: list[tuple[str, str]] = []
        label: list[str] = []
        for word in words:
            kind = self.mark(word)
            if not kind:
                label.append(word)
                continue
            if name := _label(_without_joiners(label)):
                marks.append((name, kind))
            else:
                notes.append("begin or end without an activity")
            label = []
        if label:
            notes.append("note after a mark")
        return tuple(marks)


def _turned(words: list[str], grammar: Grammar) -> list[str]:
    """Words in which each mark stands before its label, with each after it."""
    turned: list[str] = []
    mark = ""
    for word in words:
        if grammar.mark(word):
            turned += [mark] if mark else []
            mark = word
        else:
            turned.append(word)
    return [*turned, mark]


def _label(words: Sequence[str]) -> str:
    text = " ".join(word.strip(_QUOTES) for word in words)
    # A colon on either side is part of a name; one alone set it apart from what came next.
    if _COLONS.fullmatch(text):
        return text
    return " ".join(word.strip(_FRINGE) for word in words).strip(_FRINGE)


def _without_joiners(words: list[str]) -> list[str]:
    """Words without an `and` between two marks: `Sleep end and Bathe begin`."""
    while words and words[0].casefold() in _JOINERS:
        words = words[1:]
    while words and words[-1].casefold() in _JOINERS:
        words = words[:-1]
    return words


def _without_numbers(words: list[str], notes: list[str]) -> list[str]:
    while words and NUMBER.fullmatch(words[-1]):
        notes.append("number after the value")
        words = words[:-1]
    return words


def _is_stray(text: str, notes: list[str]) -> bool:
    if NUMBER.fullmatch(text.strip(_QUOTES)):
        notes.append("number after the value")
    elif is_time(text.strip(_QUOTES)):
        notes.append("time after the value")
    else:
        return False
    return True


def _pairs_up(texts: Iterable[str]) -> bool:
    """Whether some label both starts and stops."""
    kinds: dict[str, set[str]] = {}
    for text in texts:
        bare = _IN_BRACKETS.sub(r" \1 ", text)
        label, _, last = _ASSIGNED.sub(" ", bare).strip().rpartition(" ")
        last = last.strip(_FRINGE).casefold()
        kind = _STARTS.get(last) or (END if last in _ENDS else "")
        if label and kind:
            kinds.setdefault(label.strip(_FRINGE), set()).add(kind)
    return any(len(both) > 1 for both in kinds.values())


def _hangs(texts: Iterable[str]) -> bool:
    """Whether some label has both marks hanging on it."""
    kinds: dict[str, set[str]] = {}
    marks = Grammar(starts=True)
    for text in texts:
        for word in text.split():
            if found := _GLUED.fullmatch(word.strip(_FRINGE)):
                kind = marks.mark(found["mark"] or found["camel"])
                kinds.setdefault(found["label"], set()).add(kind)
    return any({BEGIN, END} <= both for both in kinds.values())


def _is_near(word: str, wanted: str) -> bool:
    """Whether one letter is wrong, missing, doubled or changed places with its neighbour."""
    if word[:1] != wanted[:1] or abs(len(word) - len(wanted)) > 1 or len(word) < 4:
        return False
    first = next((i for i, pair in enumerate(zip(word, wanted)) if len(set(pair)) > 1), None)  # noqa: B905
    if first is None:
        return True
    left, right = word[first:], wanted[first:]
    swapped = left[1:2] + left[:1] + left[2:]
    return right in (swapped, left[1:]) or left in (right[1:],) or left[1:] == right[1:]
