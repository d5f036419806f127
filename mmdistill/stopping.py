"""How a command ends before it is done: Ctrl-C, SIGTERM, SIGHUP, or an error in another process of its run.

Python runs a signal's handler between two steps of the main thread, which may be deep in a library's call (a barrier of
a process group, a kernel of a GPU) for as long as that takes. So a thread waits for signals, too, and ends the process
when the main thread has not done so within :data:`GRACE` seconds. Whatever is kept is written atomically, so that a
process may end at any place.
"""
import _thread
import contextlib
import json
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from pathlib import Path
from types import FrameType
from typing import Any, Callable, Dict, NoReturn, Optional, Tuple

from .files import write_atomic
from .parallel import end_children, tie_children

GRACE = 4.0  # seconds that the main thread has to leave what it does
PEERS = 3.0  # seconds in which the launcher, or the error of another process, ends one that lost the connection
FAILED = '.failed'  # in the work dir: the error that ended one process of a run of several
_NAMES = dict(SIGINT='Ctrl-C', SIGTERM='SIGTERM', SIGHUP='SIGHUP')


class Stopped(KeyboardInterrupt):
    """The process is to end."""


class Stopping:
    """The end of a command's process.

    Attributes:
        rank, world: Of this process among those of the run; that of rank 0 speaks for all.
        kept: Says in a few words what is kept and how to go on. Commands set it as soon as they know.
    """

    def __init__(self) -> None:
        self.rank, self.world = 0, 1
        self.kept: Callable[[], str] = lambda: 'what was there before is as it was'
        self.number: Optional[int] = None  # of the first signal
        self._since = 0.0
        self._launcher: Optional[int] = None  # the process that started this one, where it is one of a run's
        self._folder: Optional[Path] = None
        self._seen: Any = None
        self._ending, self._over = threading.Lock(), threading.Event()
        self._before: Dict[int, Any] = {}
        self._sockets: Tuple[socket.socket, ...] = ()  # which a signal writes to, and the thread that reads them

    def __enter__(self) -> 'Stopping':
        tie_children()
        if threading.current_thread() is not threading.main_thread():
            return self  # which alone gets signals
        for name in _NAMES:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
                self._before[number] = signal.signal(number, self._interrupt)
        reader, writer = self._sockets = socket.socketpair()
        writer.setblocking(False)
        self._wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._watch, args=(reader, ), daemon=True).start()
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if self.number is not None and kind is not None:  # whatever became of Stopped on its way
            self.end()
        self._over.set()
        if self._sockets:
            signal.set_wakeup_fd(self._wakeup)
            for number, handler in self._before.items():
                signal.signal(number, handler)
            self._sockets[1].close()  # which ends the thread

    def join(self, rank: int, world: int) -> None:
        """Note that a launcher started this process, one of ``world``: it ends when the launcher does."""
        self.rank, self.world, self._launcher = rank, world, os.getppid()

    def watch(self, folder: Any) -> None:
        """End this process, too, when another process of the run notes its error in ``folder`` (:meth:`fail`)."""
        folder = Path(folder)
        self._seen = _state(folder / FAILED)  # of an earlier run
        self._folder = folder
        if self.rank == 0:
            with contextlib.suppress(OSError):
                (folder / FAILED).unlink()

    def fail(self, message: str) -> NoReturn:
        """End this process of a run with an error, and have the others end."""
        if self.number is not None:
            self.end()
        if self.world > 1:
            self._say(message)
            note = json.dumps(dict(rank=self.rank, message=message)).encode()
            try:
                if self._folder is not None:
                    write_atomic(self._folder / FAILED, note)
                if torchrun := os.environ.get('TORCHELASTIC_ERROR_FILE'):  # which torchrun shows in its own words
                    extra = dict(py_callstack=message, timestamp=str(int(time.time())))
                    write_atomic(torchrun, json.dumps(dict(message=dict(message=message, extraInfo=extra))).encode())
            finally:
                self.leave(1)  # the end of a process group may wait for the other processes
        end_bar()
        sys.exit(message)

    def crash(self, error: BaseException) -> NoReturn:
        """End this process of a run of several for an exception that is no user's mistake."""
        end = time.monotonic() + PEERS
        while time.monotonic() < end:
            if self.number is not None or self._peer() is not None:
                self.end()
            time.sleep(0.1)
        if _lost_peer(error):
            self.fail('error: another process of this run ended without a word, killed perhaps, or out of memory: '
                      f'{self.what_is_kept()}')
        end_bar()
        traceback.print_exception(error)
        self.fail(f'error: {type(error).__name__}: {error}')

    def end(self) -> NoReturn:
        """Say why the process ends, end those that it started, and end it."""
        with self._ending:
            name = signal.Signals(self.number or signal.SIGTERM).name
            failed = self._peer()
            if self.rank == 0:
                why = 'since its launcher has ended' if self._is_orphan() else f'by {_NAMES[name]}'
                self._say(failed or f'stopped {why}: {self.what_is_kept()}')
            self.leave(1 if failed else 128 + signal.Signals[name])

    def what_is_kept(self) -> str:
        """What :attr:`kept` says."""
        try:
            return self.kept()
        except Exception:
            return 'the files in the work dir are whole'

    @staticmethod
    def _say(message: str) -> None:
        try:
            end_bar()
            sys.stdout.flush()
            os.write(2, f'{message}\n'.encode(errors='replace'))
        except (OSError, ValueError):
            pass  # a terminal or a pipe that is gone

    @staticmethod
    def leave(status: int) -> NoReturn:
        """End the process at once, with those that it started."""
        end_children()
        os._exit(status)

    def _interrupt(self, number: int, frame: Optional[FrameType]) -> None:
        if self._ending.locked():
            return
        if self.number is None:
            self.number, self._since = number, time.monotonic()
            threading.excepthook = lambda arguments: None  # nothing of what it does to threads and destructors
            sys.unraisablehook = lambda arguments: None
            raise Stopped
        if time.monotonic() > self._since + 1:  # asked again; a launcher's signal follows the terminal's at once
            self.end()

    def _watch(self, reader: socket.socket) -> None:
        """Wait for a signal or the error of another process."""
        ready = select.poll()  # takes any number of open files, unlike select()
        ready.register(reader, select.POLLIN)
        while True:
            found = reader.recv(64) if ready.poll(500) else None
            if found == b'':
                reader.close()
                return
            numbers = [number for number in found or () if number in self._before]
            if not numbers and (self._peer() is not None or self._is_orphan()):
                numbers = [signal.SIGTERM]
                _thread.interrupt_main(signal.SIGTERM)
            if numbers and not self._over.wait(GRACE):
                self.number = self.number or numbers[0]
                self.end()

    def _is_orphan(self) -> bool:
        return self._launcher is not None and os.getppid() != self._launcher

    def _peer(self) -> Optional[str]:
        """The error of another process of the run; None where there is none."""
        if self.world == 1 or self._folder is None:
            return None
        path = self._folder / FAILED
        state = _state(path)
        if state in (None, self._seen):
            return None
        try:
            note = json.loads(path.read_bytes()[:10000])
            text = ''.join(one if one.isprintable() else ' ' for one in str(note['message']))
            return f'error: rank {int(note["rank"])}: {" ".join(text.split()).removeprefix("error: ")}'
        except (OSError, RecursionError, ValueError, KeyError, TypeError):
            return 'error: another process of this run failed'


def end_bar() -> None:
    """End the line of a progress bar that was interrupted."""
    if bars := sys.modules.get('mmdistill.bars'):
        bars.end_line()


def _state(path: Path) -> Any:
    try:
        status = path.stat()
        return status.st_ino, status.st_mtime_ns
    except OSError:
        return None


def _lost_peer(error: BaseException) -> bool:
    """Whether a process group raised it for the end of another process."""
    return type(error).__name__ in ('DistBackendError', 'DistNetworkError', 'DistStoreError') or any(
        word in str(error) for word in ('gloo', 'NCCL', 'Connection closed by peer', 'Connection reset by peer'))


current = Stopping()  #: Of the command that runs.


def begin() -> Stopping:
    """The end of a command that begins."""
    global current
    current = Stopping()
    return current
