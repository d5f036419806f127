"""Distil the built-in street scenes, train a student on the result, and compare: make quickstart.

Writes into the work dir: distilled/ (the set), plan.json, selection.png, results.json, report.html. Run again, it does
only what is missing.
"""
import argparse
import hashlib
import multiprocessing
import os
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Callable, Dict, List

ROOT = Path(__file__).resolve().parents[1]
SETS = ('distilled', 'random_real', 'selected_real', 'unguided')


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--work-dir', default='work_dirs/quickstart', help='where everything goes')
    parser.add_argument('--seeds', type=int, default=1, help='students a set; random_real is drawn anew for each')
    parser.add_argument('--sets', nargs='+', choices=SETS, default=SETS[:3], help='what to train students on')
    parser.add_argument('--config', default='configs/quickstart/d3s2_streets.py', help='the distillation')
    parser.add_argument('--student', default='configs/students/unet_streets.py', help='the student')
    parser.add_argument('--workers', type=int, help='students trained at a time; on CPU the number of cores, up to 4')
    args = parser.parse_args()
    if args.seeds < 1 or (args.workers is not None and args.workers < 1):
        parser.error('--seeds and --workers have to be at least 1')
    args.work_dir = Path(args.work_dir).resolve()
    return args


def distil(config, name: str, work_dir: Path, cells) -> Dict[str, Any]:
    """Distil with ``tools/distill.py``, in a process of its own, unless that has been done; its time in seconds."""
    from mmdistill.datasets import read_manifest
    from mmdistill.errors import DistillError
    key = dict(distil=config.to_dict(), work_dir=str(work_dir))
    done = cells.get(key)
    if done:
        try:
            read_manifest(work_dir / 'distilled')
            print(f'{name}: {work_dir / "distilled"} is there', flush=True)
            return done
        except DistillError:
            pass
    file = work_dir / 'config.py'
    file.parent.mkdir(parents=True, exist_ok=True)
    config.dump(file)
    command = [sys.executable, str(ROOT / 'tools/distill.py'), str(file), '--work-dir', str(work_dir)]
    resumed = (work_dir / 'plan.json').exists()
    start = time.perf_counter()
    status = subprocess.run(command + ['--resume'] * resumed).returncode
    if status:
        sys.exit(status)  # it has said what is wrong
    done = dict(seconds=time.perf_counter() - start, resumed=resumed)
    cells.put(key, done)
    return done


def digest(folder: Path) -> str:
    """Hash of the files of a distilled set."""
    value = hashlib.sha256()
    for path in sorted(path for path in folder.rglob('*') if path.is_file()):
        value.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return value.hexdigest()[:16]


def _start_worker() -> None:
    import warnings

    import torch
    torch.set_num_threads(1)
    warnings.simplefilter('ignore')  # the host's, of every student again


def train_students(jobs: List[Dict[str, Any]], cells, workers: int, say: Callable[[dict], str]) -> None:
    """Train what has not been trained yet, ``workers`` at a time, each on one thread of the CPU or on the GPU.

    Small networks gain little from a second thread, and with one the result does not depend on the number of cores.
    """
    import torch

    from mmdistill.evaluation import train_student
    jobs = [job for job in jobs if cells.get(job['key']) is None]
    if not jobs:
        return
    # A process that has asked for the GPU cannot be forked; elsewhere a fork saves the imports.
    fork = sys.platform == 'linux' and not torch.cuda.is_available()
    context = multiprocessing.get_context('fork' if fork else 'spawn')
    workers = min(workers, len(jobs))
    print(f'\n{len(jobs)} students to train, {workers} at a time', flush=True)
    start = time.perf_counter()
    pool = ProcessPoolExecutor(workers, context, _start_worker)
    try:
        futures = {pool.submit(train_student, **job['arguments']): job for job in jobs}
        for done, future in enumerate(as_completed(futures), 1):
            job, metrics = futures[future], future.result()
            cells.put(job['key'], metrics)
            left = (time.perf_counter() - start) / done * (len(jobs) - done)
            print(f'[{done}/{len(jobs)}] {job["set"]}, seed {job["key"]["seed"]}: {say(metrics)}, '
                  f'{metrics["seconds"]:.0f} s' + (f'; about {left:.0f} s left' if left else ''), flush=True)
    finally:
        pool.shutdown(cancel_futures=True)


def main() -> None:
    """Distil, train students, report."""
    args = parse_args()
    os.chdir(ROOT)  # the configs name each other and the weights from here
    start = time.perf_counter()
    import torch
    from mmengine.config import Config

    import mmdistill.registry  # noqa: F401  makes 'mmdistill::' and 'mmseg::' usable in _base_
    from mmdistill.datasets import DatasetMasks
    from mmdistill.datasets.manifest import library_versions
    from mmdistill.evaluation import Cells, format_results, mean_iou, rare_classes, summarise
    from mmdistill.evaluation.report import write_report
    from mmdistill.plan import Plan, write_json
    from mmdistill.registry import DATASETS
    from mmdistill.selection import RandomSelector

    work_dir = args.work_dir
    cells = Cells(work_dir / 'cells')
    config = Config.fromfile(args.config)
    distilling = distil(config, 'distilled', work_dir, cells)
    folders = dict(distilled=work_dir / 'distilled')
    if 'unguided' in args.sets:
        unguided = Config.fromfile(args.config)
        unguided.custom_hooks = [hook for hook in unguided.custom_hooks if hook['type'] != 'GuidedSynthesisHook']
        distil(unguided, 'unguided', work_dir / 'unguided', cells)
        folders['unguided'] = work_dir / 'unguided/distilled'

    plan = Plan.load(work_dir / 'plan.json')
    real = config.test_dataloader.dataset.to_dict()
    masks = DatasetMasks(DATASETS.build(dict(real, _scope_='mmdistill')))
    histograms = masks.histograms(work_dir / 'class_histograms.npz')
    rare = rare_classes(histograms, masks.classes)
    real.pop('pipeline', None)

    def training_set(name: str, seed: int) -> dict:
        if name in folders:
            return dict(type='mmdistill.DistilledDataset', data_root=str(folders[name]))
        if name == 'selected_real':
            return dict(real, indices=[request.source_index for request in plan.requests])
        drawn = RandomSelector(len(plan.requests), random_state=seed).fit(histograms).selected_
        return dict(real, indices=[int(index) for index in drawn])

    student = Config.fromfile(args.student)
    versions, digests = library_versions(), {name: digest(folder) for name, folder in folders.items()}
    jobs = []
    for seed in range(args.seeds):
        for name in args.sets:
            train = training_set(name, seed)
            key = dict(student=student.to_dict(), train=digests.get(name, train), seed=seed, libraries=versions)
            logs = str(cells.path(key).with_suffix(''))
            jobs.append(dict(set=name, key=key, arguments=dict(
                student_cfg=student, train_dataset_cfg=train, seed=seed, work_dir=logs)))

    def with_rare(metrics: dict) -> dict:
        return dict(metrics, rare_IoU=mean_iou(metrics, rare)) if rare else metrics

    names = ['mIoU', 'rare_IoU'][:1 + bool(rare)]
    workers = args.workers or (1 if torch.cuda.is_available() else min(4, len(os.sched_getaffinity(0))))
    train_students(jobs, cells, workers, lambda metrics: ', '.join(
        f'{name} {with_rare(metrics)[name]:.1f}' for name in names))
    results: Dict[str, list] = {name: [] for name in args.sets}
    for job in jobs:
        results[job['set']].append(with_rare(cells.get(job['key'])))
    rows = summarise(results, names)
    write_json(work_dir / 'results.json', rows)
    notes = [
        f'Each student: {args.student}, trained on {len(plan.requests)} images, the same schedule for every set, '
        f'tested on {student.test_dataloader.dataset.get("num_scenes", "all")} held-out scenes.',
        f'random_real: {len(plan.requests)} real images drawn at random, drawn anew for each seed. selected_real: the '
        'real images of the selected masks.'
        + (' unguided: the same requests without guidance.' if 'unguided' in args.sets else ''),
        'mIoU and rare_IoU in points; ± is the sample\'s standard deviation over the seeds; '
        'seconds: training and test of one student.'
        + (f' rare_IoU: mean over the classes with under 1 % of the real pixels ({", ".join(rare)}).' if rare else ''),
    ]
    if not distilling['resumed']:
        notes.append(f'Distilling took {distilling["seconds"]:.0f} s.')
    print('\n' + format_results(rows) + '\n\n' + '\n'.join(notes))
    flags = f' --seeds {args.seeds}' * (args.seeds != 1) + f' --sets {" ".join(args.sets)}' * (
        tuple(args.sets) != SETS[:3])
    write_report(work_dir, rows, masks, title='D3S2 on street scenes', histograms=histograms, notes=notes, commands=[
        ('This page', f'python tools/quickstart.py{flags}'),
        ('The set alone', f'python tools/distill.py {args.config}'),
        ('In any mmsegmentation config', "train_dataloader = dict(dataset=dict(_delete_=True, type='mmdistill."
         f"DistilledDataset',\n    data_root='{folders['distilled']}', pipeline=train_pipeline))"),
    ])
    print(f'\nDone in {time.perf_counter() - start:.0f} s: {work_dir / "report.html"}, {work_dir / "results.json"}')


if __name__ == '__main__':
    from mmdistill.engine.cli import run
    run(main)
