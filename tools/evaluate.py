"""Compare training sets: students on distilled sets and on baselines of real images, under one protocol.

A cell that is done is not trained again. Under torchrun or Slurm each process trains its share of the cells.
"""
import os
from pathlib import Path

# The variables in which the launchers tell a process its rank, the number of processes and its place on the machine.
_LAUNCHERS = dict(
    pytorch=('RANK', 'WORLD_SIZE', 'LOCAL_RANK'),
    slurm=('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID'),
    mpi=('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_RANK'))


def main() -> None:
    """Train the cells of the matrix that are not there yet, measure the sets, write results.json and results.md."""
    from mmdistill.engine.cli import load_config, runner_parser

    parser = runner_parser(__doc__, resume=False)
    parser.add_argument('--workers', type=int, help='students trained at a time; on CPU the number of cores, up to 4')
    args = parser.parse_args()
    if args.workers is not None and args.workers < 1:
        parser.error('--workers has to be at least 1')
    rank, world = 0, 1
    if args.launcher != 'none':
        try:
            rank, world, local = (int(os.environ[name]) for name in _LAUNCHERS[args.launcher])
        except KeyError as error:
            parser.error(f'--launcher {args.launcher}: {error} is not there; start the tool with the launcher')
        # Each student is trained by one process alone: it sees one GPU and no process group.
        devices = os.environ.get('CUDA_VISIBLE_DEVICES')
        os.environ['CUDA_VISIBLE_DEVICES'] = devices.split(',')[local] if devices else str(local)
        args.launcher, args.workers = 'none', args.workers or 1

    from mmdistill.evaluation import Matrix, markdown, table_cells
    from mmdistill.evaluation.set_report import measure_sets, summary_cells
    from mmdistill.files import write_atomic
    cfg = load_config(args)
    matrix = Matrix(cfg, cfg.work_dir)
    results = matrix.run(args.workers, rank, world)
    if rank:
        return
    text = [markdown(table_cells(results['rows'])), '', *results['notes']]
    measured = measure_sets(matrix)
    if measured:
        text += ['', markdown(summary_cells(measured)), '', f'Features: {measured["encoder"]}.']
    text = '\n'.join([*text, ''])
    write_atomic(Path(cfg.work_dir) / 'results.md', text.encode())
    print(f'\n{text}\nIn {cfg.work_dir}: results.json, results.md; the page: python tools/report.py {cfg.work_dir}')


if __name__ == '__main__':
    from mmdistill.engine.cli import run
    run(main)
