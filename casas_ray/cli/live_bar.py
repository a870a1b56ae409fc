"""The bar of trainings that go on, and under it the best so far and the loss."""

from collections.abc import Iterable

from rich.console import RenderableType
from rich.progress import (
    BarColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column

from casas_ray.cli.screen import Screen, literal

_BAR_WIDTH = 24


class LiveBar(Progress):
    """A bar with a line of news below, so that a narrow terminal cuts neither."""

    def __init__(self, name: str, screen: Screen) -> None:
        self._news = literal("")
        super().__init__(
            # The name is no part of the column's text, which is a template and has markup.
            TextColumn(
                "{task.description}",
                markup=False,
                table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1),
            ),
            BarColumn(_BAR_WIDTH),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=screen,
            transient=True,
            disable=not screen.is_terminal,
            expand=True,
        )
        self._task = self.add_task(literal(name).plain, total=None)

    def show(self, done: float, total: float, news: str) -> None:
        """Take steps done, steps in all, and the news."""
        self._news = literal(news)
        self._news.no_wrap, self._news.overflow = True, "ellipsis"
        self.update(self._task, completed=done, total=total)

    def get_renderables(self) -> Iterable[RenderableType]:
        """The bar, and the news where there are any."""
        yield self.make_tasks_table(self.tasks)
        if self._news.plain:
            yield self._news
