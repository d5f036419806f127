"""Distil a data set: python tools/distill.py CONFIG.

Selection, plan, guided synthesis, distilled set. Everything goes to the work dir: plan.json, previews, logs, and
distilled/, one data root for the hosts' configs.
"""
from mmengine.runner import Runner

from mmdistill.engine.cli import load_config, run, runner_parser


def main() -> None:
    """Build the runner from the config and distil."""
    parser = runner_parser(__doc__)
    parser.add_argument('--dry-run', action='store_true', help='write the plan, say what would be made, and stop')
    args = parser.parse_args()
    cfg = load_config(args)
    cfg.test_cfg.update(resume=args.resume, dry_run=args.dry_run)
    Runner.from_cfg(cfg).test()


if __name__ == '__main__':
    run(main)
