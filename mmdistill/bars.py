"""Progress bars that leave the line before an error is printed."""
from typing import Any, Iterator, Optional

from mmengine.utils import ProgressBar as _ProgressBar


class ProgressBar(_ProgressBar):
    """MMEngine's bar; :func:`end_line` ends its line when it was interrupted."""
    shown: Optional['ProgressBar'] = None  # the one whose line has not been ended

    def start(self) -> None:
        """Begin the line."""
        super().start()
        ProgressBar.shown = self

    def update(self, num_tasks: int = 1) -> None:
        """Take in finished tasks."""
        super().update(num_tasks)
        if self.completed >= self.task_num:
            ProgressBar.shown = None


def track(items: Any, total: int) -> Iterator[Any]:
    """The items, with a bar of their ``total``."""
    bar = ProgressBar(total)
    for item in items:
        yield item
        bar.update()
    bar.file.write('\n')


def end_line() -> None:
    """End the line of a bar that was interrupted."""
    if ProgressBar.shown is not None:
        print(file=ProgressBar.shown.file, flush=True)
        ProgressBar.shown = None
