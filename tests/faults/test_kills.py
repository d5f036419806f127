"""A tool that is stopped at any time loses no finished work, and a restart gives the same result to the byte."""
import os
import re
import signal
import time

from tests.conftest import running

SIGNALS = [signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT]
KEPT = dict(streets='images? in .*--resume', objects='images? in .*--resume',
            train='checkpoint .*the same command', evaluate='finished students? .*the same command',
            label='labels .*the same command')


def children(pid):
    try:
        with open(f'/proc/{pid}/task/{pid}/children') as file:
            return [int(one) for one in file.read().split()]
    except OSError:
        return []


def end(tools, job, number, delay):
    """Signal a process after a delay; returns its result, and whether it was still running."""
    begin = time.monotonic()
    while time.monotonic() < begin + delay and running(job.pid):
        time.sleep(0.005)
    workers, at_work = children(job.pid), running(job.pid)
    os.kill(job.pid, number)
    asked = time.monotonic()
    done = tools.end(job)
    assert time.monotonic() - asked < 8
    while any(map(running, workers)):
        assert time.monotonic() - asked < 8, 'workers stayed'
        time.sleep(0.1)
    return done, at_work


def test_kill(tools, case):
    job, work, rng = case.job, case.work, case.rng
    arguments, kept = job.command(work), {}
    for attempt in range(rng.choice([1, 1, 2])):
        number = rng.choice(SIGNALS)
        begun = tools.start(job.tool, *arguments, *job.again * bool(attempt))
        done, at_work = end(tools, begun, number, rng.uniform(0, 1.1 * job.seconds))
        assert 'Traceback' not in done.stderr, done.stderr
        if at_work and number != signal.SIGKILL and done.returncode == 128 + number:
            line = done.stderr.strip().splitlines()[-1]
            assert re.fullmatch(f'stopped by (SIGTERM|Ctrl-C): (existing files .*|.*{KEPT[case.name]}.*)', line), line
        found = job.kept(work)
        assert {name: found.get(name) for name in kept} == kept  # nothing finished is made again
        kept = found
    done = tools(job.tool, *arguments, *job.again)
    assert done.returncode == 0, done.stderr[-3000:]
    assert job.product(work) == job.whole
    found = job.kept(work)
    assert {name: found.get(name) for name in kept} == kept
    assert not list((work / 'distilled').rglob('*.tmp'))
