"""Progress bars: one line that redraws on a terminal; elsewhere, as in a log of a cluster, a line every minute."""
import datetime
import sys
import time
from typing import Any, Iterator, Optional

_WIDTH = 30  # characters of a bar
_REDRAW = 0.1  # seconds between two states of a bar on a terminal
_REPORT = 60.0  # seconds between two lines elsewhere


class ProgressBar:
    """Shows how many of a known number of items are done, and the time left.

    Args:
        total: Number of items.
        what: What they are, in the plural: ``'images'``.
        done: How many were done before.
    """
    shown: Optional['ProgressBar'] = None  # the one whose line on the terminal has not been ended

    def __init__(self, total: int, what: str = 'images', done: int = 0) -> None:
        self.total, self.what, self.done, self._before = total, what, done, done
        self._begin = self._last = time.monotonic()
        self._draws = sys.stdout.isatty()
        if self._draws:
            self._draw()

    def update(self, count: int = 1) -> None:
        """Count ``count`` more items as done."""
        self.done += count
        now, over = time.monotonic(), self.done >= self.total
        if now - self._last >= (_REDRAW if self._draws else _REPORT) or (over and self._draws):
            self._last = now
            if self._draws:
                self._draw()
            else:
                print(f'{self._state()} {self.what}, {self._left()} left', flush=True)
        if over:
            self.close()

    def close(self) -> None:
        """End the line; nothing where that has been done."""
        if ProgressBar.shown is self:
            end_line()

    def _draw(self) -> None:
        ProgressBar.shown = self
        marks = _WIDTH * self.done // self.total if self.total else _WIDTH
        left = f', {self._left()} left' if self._before < self.done < self.total else ''
        sys.stdout.write(f'\r[{"=" * marks:{_WIDTH}}] {self._state()} {self.what}{left}\x1b[K')
        sys.stdout.flush()

    def _state(self) -> str:
        return f'{self.done}/{self.total}'

    def _left(self) -> str:
        seconds = (time.monotonic() - self._begin) * (self.total - self.done) / max(self.done - self._before, 1)
        return str(datetime.timedelta(seconds=round(max(seconds, 0))))


def track(items: Any, total: int, what: str = 'masks') -> Iterator[Any]:
    """The items, with a bar of their ``total``."""
    bar = ProgressBar(total, what)
    for item in items:
        yield item
        bar.update()
    bar.close()


def end_line() -> None:
    """End the line of a bar that was interrupted."""
    if ProgressBar.shown is not None:
        ProgressBar.shown = None
        sys.stdout.write('\n')
        sys.stdout.flush()


def clear_line() -> None:
    """Clear the line of the bar that is on the terminal, for a line of text; the bar's next state follows below it."""
    if ProgressBar.shown is not None:
        sys.stdout.write('\r\x1b[K')
