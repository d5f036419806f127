"""The plan of a training, for ``mmdistill train --dry-run``."""
import inspect
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, List, Optional

from diffusers import AutoencoderTiny
from mmengine.config import Config
from mmengine.hooks import EMAHook

from mmdistill.components import resolve
from mmdistill.errors import DistillError, counted
from mmdistill.generation.autoencoders import save_vae
from mmdistill.labels.hooks import ReplayedLabelsHook
from mmdistill.models.autoencoder import DecoderTrainer
from mmdistill.models.latent_diffusion import LatentDiffusion
from mmdistill.registry import MODELS
from mmdistill.weights.address import resolve as find_weights
from mmdistill.weights.hub import check_weights
from .composition import ComposingHook
from .hooks.composing import MaskSelectionHook
from .hooks.export import ExportHook
from .resuming import continue_training, guard_loading
from .runner import Runner
from .training import build_loops, build_optimization, unwrap
from .training_trial import try_training

_CHECKS = (ComposingHook, ExportHook, ReplayedLabelsHook)  # hooks whose ``before_train`` only checks


def plan_text(cfg: Config, resume: bool) -> str:
    """Build and try a training, and describe what it trains, for how long, from where, and where it writes its output.

    Nothing is kept of the trial, nothing is downloaded, and nothing is written to the work dir. An autoencoder on the
    hub that is not in the local cache is not checked; a small random one takes its place.

    Args:
        cfg: The training config; changed in place.
        resume: Whether the training in the work dir would be resumed.

    Raises:
        DistillError: See :func:`~.training.build_loops`, :func:`~.resuming.continue_training`,
            :func:`~.resuming.guard_loading` and :func:`~.training_trial.try_training`.
    """
    continue_training(cfg, resume)
    folder = cfg.work_dir
    with TemporaryDirectory() as scratch:  # the runner writes its log as soon as it is built
        cfg.work_dir, cfg.visualizer = scratch, None  # some visualizers write to other places
        cfg.experiment_name = Path(scratch).name  # MMEngine's default name only changes once per second
        missing = _replace_autoencoder(cfg.model, scratch)
        runner = Runner.from_cfg(cfg)
        build_loops(runner)
        build_optimization(runner)
        for hook in runner.hooks:
            if isinstance(hook, _CHECKS):
                hook.before_train(runner)
        lines = _lines(runner)
        if resume and cfg.load_from:
            _try_resuming(runner)
        tried = try_training(runner)
        hub = [f'Weights: {missing} is on the hub; it was neither downloaded nor checked'] if missing else []
        return '\n'.join([*lines, *hub, *_start(runner, resume), tried, f'Output: {folder}'])


def _replace_autoencoder(model: Any, scratch: str) -> Optional[str]:
    """Replace an autoencoder on the hub by the one in the local cache, or by a random one in the folder ``scratch``.

    Returns:
        The address of an autoencoder that is not in the cache; None if there is none.
    """
    address, component = model.get('vae'), resolve(model, MODELS, 'model')
    reads = inspect.isclass(component) and issubclass(component, (LatentDiffusion, DecoderTrainer))
    if not reads or not isinstance(address, str) or check_weights(address, ('vae', ), 'model.vae') is not None:
        return None
    with suppress(DistillError):
        cached = str(find_weights(address, fetch=False))
        check_weights(cached, ('vae', ), 'model.vae')
        model.vae = cached
        return None
    factor = (model.get('unet') or {}).get('layout_factor')
    levels = factor.bit_length() if isinstance(factor, int) and factor > 0 else 4
    if isinstance(factor, int) and factor != 2**(levels - 1):
        raise DistillError(f'model.unet.layout_factor={factor}: it has to be a power of 2, as in every autoencoder')
    channels, blocks = (8, ) * levels, (1, ) * levels
    save_vae(AutoencoderTiny(encoder_block_out_channels=channels, decoder_block_out_channels=channels,
                             num_encoder_blocks=blocks, num_decoder_blocks=blocks), Path(scratch))
    model.vae = scratch
    return address


def _try_resuming(runner: Any) -> None:
    for hook in runner.hooks:
        if isinstance(hook, EMAHook):  # reads the average from the checkpoint
            hook.before_run(runner)
    guard_loading(runner)
    runner.load_or_resume()


def _lines(runner: Any) -> List[str]:
    loop, model = runner.train_loop, unwrap(runner.model)
    loader = loop.dataloader
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    epochs = f' ({loop.max_epochs:,} epochs)' if runner.cfg.train_cfg.get('max_epochs') else ''
    batch = loader.batch_size * runner.world_size if loader.batch_size else 'several'
    lines = [f'Plan: train {type(model).__name__}, {trained / 1e6:.1f} million parameters, for {loop.max_iters:,} '
             f'iterations{epochs} of {batch} images',
             f'Data: {counted(len(loader.dataset), "image")} of {type(loader.dataset).__name__} '
             '(train_dataloader.dataset)']
    if any(isinstance(hook, MaskSelectionHook) for hook in runner.hooks):
        lines.append('Selection: MaskSelectionHook selects among these images when the training begins')
    if runner._val_loop is not None:
        lines.append(f'Validation: every {loop.val_interval:,} {"epochs" if epochs else "iterations"} on '
                     f'{counted(len(runner.val_loop.dataloader.dataset), "image")}')
    return lines


def _start(runner: Any, resume: bool) -> List[str]:
    """Where the training starts from."""
    path = runner._load_from
    if resume:
        return [f'Start: {path}, which is resumed' if path else 'Start: there is no checkpoint to resume']
    return [f'Start: the weights of {path}'] if path else []
