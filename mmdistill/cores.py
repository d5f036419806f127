"""The cores that this process may use."""
import os


def available_cores() -> int:
    """Number of cores that the process may run on; where the system does not say, all of the machine."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
