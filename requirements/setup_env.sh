#!/usr/bin/env bash
# Make .venv with the versions of tested.txt; `make` calls it from the repository's root as setup_env.sh STAMP.
# Every step is safe to repeat, so an interrupted set-up is continued by running it again.
set -euo pipefail

stamp=$1
py=.venv/bin/python
log=.venv/setup.log
steps=6
number=0
watcher=

# Slow networks: longer than pip's own 15 s and 5 tries, unless the user has said otherwise.
export PIP_DEFAULT_TIMEOUT=${PIP_DEFAULT_TIMEOUT:-120} PIP_RETRIES=${PIP_RETRIES:-10}
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PYTHONNOUSERSITE=1
unset PYTHONPATH PYTHONHOME MAKEFLAGS MFLAGS  # a compiler's ninja is no part of make's -j
trap '[ -z "$watcher" ] || kill "$watcher" 2>/dev/null || true' EXIT

die() { echo "error: $*" >&2; exit 1; }

# A python that can do all that is asked of it: a shim that only exists fails here, and so does one without headers.
usable() {
    "$1" - >/dev/null 2>&1 <<'PY'
import ensurepip, os, sys, sysconfig, venv
headers = os.path.join(sysconfig.get_paths()['include'], 'Python.h')
sys.exit(not ((3, 10) <= sys.version_info[:2] <= (3, 12) and os.path.exists(headers)))
PY
}

find_python() {
    local candidate
    if [ -n "${PYTHON:-}" ]; then
        usable "$PYTHON" && { echo "$PYTHON"; return; }
        die "PYTHON=$PYTHON is not a Python 3.10-3.12 with venv and headers (Debian, Ubuntu: python3-venv python3-dev)"
    fi
    for candidate in python3.11 python3.12 python3.10 python3; do
        usable "$candidate" && { echo "$candidate"; return; }
    done
    die "no Python 3.10-3.12 with venv and headers found (Debian, Ubuntu: apt install python3-venv python3-dev);" \
        "or name one: make PYTHON=/path/to/python3.11"
}

# Every 30 s: the seconds so far and the last thing that pip or ninja said since line $1 of the log.
say_progress() {
    local seconds=0 last
    while true; do
        sleep 30 </dev/null >/dev/null 2>&1
        seconds=$((seconds + 30))
        last=$(tail -n "+$1" "$log" | grep -oE '(Collecting|Downloading|Building|Installing) .*|\[[0-9]+/[0-9]+\]' |
            tail -n 1 | cut -c 1-70 || true)
        echo "      $seconds s  $last"
    done
}

# begin WHAT: announces the next step.
begin() {
    number=$((number + 1))
    echo "[$number/$steps] $1"
    echo "### $1" >>"$log"
}

# step WHAT COMMAND...: runs the command with its output in the log.
step() {
    local start code=0
    begin "$1"
    shift
    start=$(wc -l <"$log")
    say_progress "$start" 2>/dev/null &
    watcher=$!
    "$@" >>"$log" 2>&1 || code=$?
    { kill "$watcher" && wait "$watcher"; } 2>/dev/null || true  # without bash's report of the killed job
    watcher=
    [ "$code" = 0 ] && return
    tail -n "+$start" "$log" | grep -v '^WARNING' | tail -n 15 >&2
    die "set-up stopped at step $number of $steps; the whole log is $log; run make again to continue"
}

pip() { "$py" -m pip install -c requirements/tested.txt "$@"; }
have_ops() { "$py" -c 'import mmcv.ops' >/dev/null 2>&1; }

# mmcv compiles CUDA ops as soon as torch sees a GPU, and fails without an nvcc of torch's own major version.
nvcc_fits() {
    "$py" - <<'PY'
import re, subprocess, sys, torch
from torch.utils.cpp_extension import CUDA_HOME
if not torch.cuda.is_available():
    sys.exit(0)
try:
    said = subprocess.run([f'{CUDA_HOME}/bin/nvcc', '--version'], capture_output=True, text=True).stdout
except OSError:
    said = ''
found = re.search(r'release (\d+)', said)
sys.exit(not (found and torch.version.cuda and found.group(1) == torch.version.cuda.partition('.')[0]))
PY
}

# One compiler a core, and about 2 GB of memory for each.
compile_jobs() {
    local cores memory
    cores=$(getconf _NPROCESSORS_ONLN)
    memory=$(awk '/MemAvailable/ {print int($2 / 2000000)}' /proc/meminfo 2>/dev/null || true)
    [ -n "$memory" ] && [ "$memory" -lt "$cores" ] && cores=$((memory > 0 ? memory : 1))
    echo "$cores"
}

install_mmcv() {
    export MMCV_WITH_OPS=1 MAX_JOBS=${MAX_JOBS:-$(compile_jobs)}
    # Without build isolation: mmcv's build leaves the ops out, silently, where it does not see torch.
    if nvcc_fits; then
        pip -v --no-build-isolation onedl-mmcv "$@"
    else
        CUDA_VISIBLE_DEVICES='' pip -v --no-build-isolation onedl-mmcv "$@"
    fi
}

# OpenMMLab's packages bring both builds of OpenCV, which share a folder; the one with windows needs libGL.
mend_opencv() {
    "$py" -c 'import cv2' && return
    pip --force-reinstall --no-deps \
        "opencv-python-headless==$("$py" -c 'import importlib.metadata as m; print(m.version("opencv-python"))')"
}

# A wheel in pip's cache may have been compiled for another torch, or without ops.
mend_mmcv() {
    have_ops || install_mmcv --force-reinstall --no-deps --no-cache-dir
}

# Chained, since errexit does not hold inside a step.
check() {
    mend_opencv && mend_mmcv && "$py" -m pip check &&
        "$py" -c 'import mmcv.ops, mmseg, mmpretrain, mmdet, diffusers, mmdistill.registry'
}

command -v g++ >/dev/null || \
    die "no C++ compiler found (g++), which mmcv's ops need (Debian, Ubuntu: apt install g++)"
if ! "$py" -c 'import pip' >/dev/null 2>&1; then
    base=$(find_python)
    echo "Setting up .venv with $("$base" --version): about 5 GB, 10 to 20 minutes the first time"
    "$base" -m venv --clear .venv
else
    echo "Setting up .venv (there already)"
fi
touch "$log"

step 'build tools' pip --upgrade 'setuptools>=77,<81' wheel ninja pip
step 'torch and torchvision (the long download: 5 GB with its CUDA libraries)' pip torch torchvision
if have_ops; then
    begin "mmcv with its compiled ops: there already"
else
    nvcc_fits >/dev/null 2>&1 || \
        echo "note: a GPU, but no nvcc of torch's CUDA version: mmcv's ops are compiled for the CPU only (see docs/install.md)"
    step "mmcv: compiling its ops, about 8 minutes on 2 cores, once; then pip's cache has it" install_mmcv
fi
step 'the other OpenMMLab packages, diffusers, tests and lint' \
    pip -r requirements/onedl.txt -r requirements/core.txt -r requirements/tests.txt
step 'mmdistill itself, editable' pip --no-build-isolation -e '.[onedl,tests]'
step 'check: mmcv.ops, OpenMMLab, pip check' check
rm -f .venv/.ready-*
touch "$stamp"
echo "Set-up done: .venv is ready"
