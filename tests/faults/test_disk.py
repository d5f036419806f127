"""A full, read-only or broken disk ends a tool with one line; a restart gives the same result to the byte."""
import errno

from tests.faults.conftest import said

CALLS = """
import builtins, errno, os, io
left = [{after}]
def faulty(call, writes):
    def wrapped(*args, **kwargs):
        if writes(args, kwargs) and not str(args[0]).startswith(('/dev', '/proc')):
            left[0] -= 1
            if left[0] < 0:
                raise OSError({number}, os.strerror({number}), str(args[0]))
        return call(*args, **kwargs)
    return wrapped
def mode(args, kwargs):
    return any(one in str(args[1] if len(args) > 1 else kwargs.get('mode', 'r')) for one in 'wax+')
io.open = builtins.open = faulty(builtins.open, mode)
os.replace = faulty(os.replace, lambda *_: True)
os.fsync = faulty(os.fsync, lambda *_: True)
os.link = faulty(os.link, lambda *_: True)
os.mkdir = faulty(os.mkdir, lambda *_: True)
"""
LIMIT = """
import os, resource
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))
"""


def test_disk(tools, case):
    job, work, rng = case.job, case.work, case.rng
    number = rng.choice([errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
    fault = rng.choice([CALLS.format(after=int(2 ** rng.uniform(0, 6)), number=number),
                        LIMIT.format(size=int(2 ** rng.uniform(13, 18)))])
    done = tools(job.tool, *job.command(work), before=fault)
    if done.returncode:
        line = said(done)
        assert 'cannot write' in line or 'cannot read' in line or 'cannot keep' in line, line
        assert not [path for path in work.rglob('*.tmp')]
    done = tools(job.tool, *job.command(work), *job.again)
    assert done.returncode == 0, done.stderr[-3000:]
    assert job.product(work) == job.whole
