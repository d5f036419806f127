"""Stops a command early: on Ctrl-C, SIGTERM, SIGHUP, or after an error in another process of the run.

Python runs signal handlers in the main thread, between two bytecode instructions. A long call into a library (a barrier
of a process group, a GPU kernel) delays them. A second thread therefore waits for signals as well, and ends the process
if the main thread has not done so within :data:`GRACE` seconds. Output files are written atomically, so a process may
end at any time.
"""
import _thread
import contextlib
import hashlib
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

from .errors import one_line
from .files import write_atomic
from .parallel import end_children, bind_children

GRACE = 4.0  # seconds that the main thread has to stop
PEERS = 3.0  # seconds to wait for the error of another process after the connection to it is lost
FAILED = '.failed-'  # file in the work dir with the error of the process that failed first; its name ends in the run
# Environment variables of launchers that identify a run; each has the same value in all processes of the run.
_RUN = ('TORCHELASTIC_RUN_ID', 'MASTER_ADDR', 'MASTER_PORT', 'SLURM_JOB_ID', 'SLURM_STEP_ID', 'PMIX_NAMESPACE')
_NAMES = dict(SIGINT='Ctrl-C', SIGTERM='SIGTERM', SIGHUP='SIGHUP')


class Stopped(KeyboardInterrupt):
    """Raised in the main thread when a signal asks the process to end."""


class Stopping:
    """Context in which a command runs. It ends the process on signals and errors, with one line of text.

    Attributes:
        rank, world: Rank of this process and number of processes of the run. Only rank 0 prints messages.
        kept: Function that returns a short text about the files that are kept and how to continue. Commands set it.
        number: The first signal received; None if there was none.
    """

    def __init__(self) -> None:
        self.rank, self.world = 0, 1
        self.kept: Callable[[], str] = lambda: 'existing files are unchanged'
        self.number: Optional[int] = None
        self._since = 0.0
        self._launcher: Optional[int] = None  # process id of the launcher of a distributed run
        self._note: Optional[Path] = None  # where a process of this run writes its error
        self._seen: Any = None
        self._ending, self._over = threading.Lock(), threading.Event()
        self._before: Dict[int, Any] = {}
        self._sockets: Tuple[socket.socket, ...] = ()  # signals are written to one and read from the other

    def __enter__(self) -> 'Stopping':
        bind_children()
        if threading.current_thread() is not threading.main_thread():
            return self  # only the main thread gets signals
        for name in _NAMES:
            number = getattr(signal, name, None)
            # Signals that are ignored, as under nohup, stay ignored.
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._interrupt)
        reader, writer = self._sockets = socket.socketpair()
        writer.setblocking(False)
        self._wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._watch, args=(reader, ), daemon=True).start()
        return self

    def __exit__(self, exception_type: Any, error: Any, trace: Any) -> None:
        if self.number is not None and exception_type is not None:  # a library may have replaced Stopped
            self.end()
        self._over.set()
        if self._sockets:
            signal.set_wakeup_fd(self._wakeup)
            for number, handler in self._before.items():
                signal.signal(number, handler)
            self._sockets[1].close()  # ends the thread

    def join(self, rank: int, world: int) -> None:
        """Register this process as one of ``world`` processes of a launcher; it ends when the launcher ends."""
        self.rank, self.world, self._launcher = rank, world, os.getppid()

    def watch(self, folder: Any) -> None:
        """End this process when another process of the run writes its error to ``folder`` (:meth:`fail`).

        The file has the name of the run, so that a second run in a folder that is in use does not end the first one.
        """
        run = hashlib.sha256(repr([os.environ.get(name) for name in _RUN]).encode()).hexdigest()[:8]
        self._note = Path(folder, FAILED + run)
        self._seen = _state(self._note)  # the file of an earlier run
        if self.rank == 0:
            _remove(self._note)

    def discard_notes(self, folder: Any) -> None:
        """Remove the errors of other runs from a folder that this process has locked."""
        for path in Path(folder).glob(f'{FAILED}*'):
            if path != self._note:
                _remove(path)

    def fail(self, message: str) -> NoReturn:
        """End this process with an error message, and the other processes of the run too."""
        if self.number is not None:
            self.end()
        if self.world > 1:
            self._print(message)
            note = json.dumps(dict(rank=self.rank, message=message)).encode()
            try:
                if self._note is not None:
                    write_atomic(self._note, note)
                if torchrun := os.environ.get('TORCHELASTIC_ERROR_FILE'):  # torchrun shows its content
                    extra = dict(py_callstack=message, timestamp=str(int(time.time())))
                    write_atomic(torchrun, json.dumps(dict(message=dict(message=message, extraInfo=extra))).encode())
            finally:
                self.leave(1)  # destroying a process group may wait for other processes
        end_bar()
        sys.exit(message)

    def crash(self, error: BaseException) -> NoReturn:
        """End this process of a distributed run after an unexpected exception."""
        end = time.monotonic() + PEERS
        while time.monotonic() < end:
            if self.number is not None or self._peer() is not None:
                self.end()
            time.sleep(0.1)
        if lost_peer(error):
            self.fail('error: another process of this run ended without an error message, perhaps killed or out of '
                      f'memory: {self.kept_files_message()}')
        end_bar()
        traceback.print_exception(error)
        self.fail(f'error: {type(error).__name__}: {error}')

    def end(self) -> NoReturn:
        """Print why the process ends, kill its child processes, and exit."""
        with self._ending:
            name = signal.Signals(self.number or signal.SIGTERM).name
            failed = self._peer()
            if self.rank == 0:
                why = 'because its launcher ended' if self._is_orphan() else f'by {_NAMES[name]}'
                self._print(failed or f'stopped {why}: {self.kept_files_message()}')
            self.leave(1 if failed else 128 + signal.Signals[name])

    def kept_files_message(self) -> str:
        """The text of :attr:`kept`."""
        try:
            return self.kept()
        except Exception:
            return 'the files in the work dir are complete'

    @staticmethod
    def _print(message: str) -> None:
        try:
            end_bar()
            sys.stdout.flush()
            os.write(2, f'{message}\n'.encode(errors='replace'))
        except (OSError, ValueError):
            pass  # the terminal or pipe is closed

    @staticmethod
    def leave(status: int) -> NoReturn:
        """Exit at once, and kill the child processes."""
        end_children()
        os._exit(status)

    def _interrupt(self, number: int, frame: Optional[FrameType]) -> None:
        if self._ending.locked():
            return
        if self.number is None:
            self.number, self._since = number, time.monotonic()
            threading.excepthook = lambda arguments: None  # hides tracebacks of threads and destructors
            sys.unraisablehook = lambda arguments: None
            raise Stopped
        if time.monotonic() > self._since + 1:  # a second request; launchers repeat the first signal at once
            self.end()

    def _watch(self, reader: socket.socket) -> None:
        """Wait for a signal or the error of another process."""
        ready = select.poll()  # unlike select(), it works with any number of open files
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
        """The error message of another process of the run; None if there is none."""
        if self.world == 1 or self._note is None or _state(self._note) in (None, self._seen):
            return None
        try:
            note = json.loads(self._note.read_bytes()[:10000])
            return f'error: rank {int(note["rank"])}: {one_line(str(note["message"]), None).removeprefix("error: ")}'
        except (OSError, RecursionError, ValueError, KeyError, TypeError):
            return 'error: another process of this run failed'


def end_bar() -> None:
    """End the line of a progress bar that was interrupted."""
    if bars := sys.modules.get('mmdistill.bars'):
        bars.end_line()


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _state(path: Path) -> Any:
    try:
        status = path.stat()
        return status.st_ino, status.st_mtime_ns
    except OSError:
        return None


def lost_peer(error: BaseException) -> bool:
    """Whether a process group raised the error because another process ended."""
    return type(error).__name__ in ('DistBackendError', 'DistNetworkError', 'DistStoreError') or any(
        word in str(error) for word in ('gloo', 'NCCL', 'Connection closed by peer', 'Connection reset by peer'))


current = Stopping()  #: The context of the running command.


def begin() -> Stopping:
    """Create the context of a new command and make it :data:`current`."""
    global current
    current = Stopping()
    return current
