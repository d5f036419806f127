"""Progress bars: one line that redraws on a terminal; elsewhere, such as in log files, one line per minute."""
import datetime
import sys
import time
from typing import Any, Iterator, Optional

_WIDTH = 30  # characters per bar
_REDRAW = 0.1  # seconds between updates on a terminal
_REPORT = 60.0  # seconds between lines elsewhere


class ProgressBar:
    """Shows the number of finished items and the remaining time.

    Args:
        total: Number of items.
        what: Name of the items, in the plural, such as ``'images'``.
        done: Number of items that are already finished.
    """
    shown: Optional['ProgressBar'] = None  # the bar whose line on the terminal is not ended yet

    def __init__(self, total: int, what: str = 'images', done: int = 0) -> None:
        self.total, self.what, self.done, self._before = total, what, done, done
        self._begin = self._last = time.monotonic()
        self._draws = sys.stdout.isatty()
        if self._draws:
            self._draw()

    def update(self, count: int = 1) -> None:
        """Add ``count`` finished items."""
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
        """End the line, unless it is already ended."""
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
    """Yield the items and show a progress bar for ``total`` of them."""
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
    """Clear the line of the current bar, so that text can be printed there; the bar is redrawn below the text."""
    if ProgressBar.shown is not None:
        sys.stdout.write('\r\x1b[K')
