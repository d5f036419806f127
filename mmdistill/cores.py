"""The cores that this process may use."""
import os


def available_cores() -> int:
    """Number of cores that the process may run on; where the system does not say, all of the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
