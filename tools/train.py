"""Train a part of a generator, or any model of the hosts: python tools/train.py CONFIG."""
from mmengine.runner import Runner

from mmdistill.engine.cli import load_config, run, runner_parser


def main() -> None:
    """Build the runner from the config and train."""
    args = runner_parser(__doc__).parse_args()
    cfg = load_config(args)
    cfg.resume = args.resume
    Runner.from_cfg(cfg).train()


if __name__ == '__main__':
    run(main)
