"""Progress bars on a terminal and elsewhere."""
import io
from types import SimpleNamespace

import pytest

from mmdistill import bars


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass, ``clock[0]``."""
    now = [0.0]
    monkeypatch.setattr(bars.time, 'monotonic', lambda: now[0])
    return now


@pytest.fixture
def terminal(monkeypatch):
    """What a terminal was sent."""
    out = io.StringIO()
    out.isatty = lambda: True
    monkeypatch.setattr(bars, 'sys', SimpleNamespace(stdout=out))
    return out


def test_a_bar_redraws_its_line(clock, terminal):
    bar = bars.ProgressBar(4, 'masks')
    clock[0] = 10
    bar.update()
    clock[0] = 10.05
    bar.update()  # too soon to draw
    clock[0] = 20
    bar.update(2)
    bar.close()  # its line has ended
    lines = terminal.getvalue().split('\r')[1:]
    assert [line.removesuffix('\n').removesuffix('\x1b[K') for line in lines] == [
        f'[{" " * 30}] 0/4 masks', f'[{"=" * 7}{" " * 23}] 1/4 masks, 0:00:30 left', f'[{"=" * 30}] 4/4 masks']
    assert terminal.getvalue().count('\n') == 1 and bars.ProgressBar.shown is None


def test_the_time_left_counts_what_was_done_since(clock, terminal):
    bar = bars.ProgressBar(10, 'iterations', done=6)
    clock[0] = 10
    bar.update(2)
    bar.close()
    lines = terminal.getvalue().split('\r')
    assert '6/10 iterations\x1b' in lines[1] and '8/10 iterations, 0:00:10 left' in lines[2]


def test_an_interrupted_bar_is_ended_once(terminal):
    bars.ProgressBar(2)
    bars.clear_line()
    bars.end_line()
    bars.end_line()
    assert terminal.getvalue().endswith('images\x1b[K\r\x1b[K\n')


def test_elsewhere_a_line_every_minute(clock, capsys):
    bar = bars.ProgressBar(10)
    for clock[0] in (30, 61, 90, 130):
        bar.update()
    assert capsys.readouterr().out == '2/10 images, 0:04:04 left\n4/10 images, 0:03:15 left\n'
    bar.update(6)
    bar.close()
    assert capsys.readouterr().out == ''


def test_track(capsys):
    assert list(bars.track('abc', 3)) == list('abc') and capsys.readouterr().out == ''
