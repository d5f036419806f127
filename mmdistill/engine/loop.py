"""The loop of a distillation run."""
import json
import os.path as osp
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple, Union

import numpy as np
import torch
from mmengine.device import get_device
from mmengine.dist import barrier
from mmengine.runner import BaseLoop
from torch.utils.data import DataLoader

from mmdistill.datasets import DatasetLabels, DatasetMasks, write_manifest
from mmdistill.errors import DistillError
from mmdistill.generation import Synthesis
from mmdistill.masks import resize_mask
from mmdistill.plan import Plan, Request
from mmdistill.files import config_hash, write_json
from mmdistill.registry import GENERATORS, LOOPS, WRITERS

from .batches import RequestBatches


@LOOPS.register_module()
class DistillLoop(BaseLoop):
    """Plan → images → distilled set, as the ``test_cfg`` of an MMEngine runner.

    A hook (:class:`MaskSelectionHook`, :class:`PrototypeHook`) gives the plan; each rank makes its share of the
    requests that are not yet on disk; the manifest, written last, completes the set in ``{work_dir}/distilled``.

    Args:
        runner: The runner.
        dataloader: ``test_dataloader``: its data set is the real one, of mmsegmentation or mmpretrain; its batch size
            how many images are made between two writes; its workers read real images for prototypes.
        evaluator: Unused; MMEngine asks for one (``test_evaluator=[]``).
        method: Name of the method, for the manifest.
        writer: Config of a registered writer but for its ``root``.
        seed: Every image's random numbers follow from it and from the image's id.
        on_nonfinite: ``'stop'`` at the first image whose latents or gradients are not finite, or ``'skip'`` it: the
            others are made, and the run ends with the list of those that are missing; ``--resume`` tries them again.
        resume: Continue the run of the work dir. Set by ``tools/distill.py --resume``.
        dry_run: Stop when the plan is written. Set by ``tools/distill.py --dry-run``.

    Raises:
        DistillError: The data set is not where the config says, or it has classes and the generator or the writer is
            one of masks, or the other way round; :meth:`run`: an image cannot be made.

    Attributes:
        source: The real data set's masks or labels.
        plan: Set by a hook.
        extra: JSON values of hooks for the manifest.
        start_latent: Set by a hook whose plan has start latents: request → (C, h, w) float32.
    """

    def __init__(self,
                 runner,
                 dataloader: Union[DataLoader, Dict],
                 evaluator: Any = None,
                 method: str = 'D3S2',
                 writer: Optional[dict] = None,
                 seed: int = 0,
                 on_nonfinite: str = 'stop',
                 resume: bool = False,
                 dry_run: bool = False) -> None:
        try:
            super().__init__(runner, dataloader)
            self.dataset = self.dataloader.dataset
            # What mmpretrain's base class has and mmseg's has not.
            reader = DatasetLabels if hasattr(self.dataset, 'get_gt_labels') else DatasetMasks
            self.source: Union[DatasetLabels, DatasetMasks] = reader(self.dataset)
        except FileNotFoundError as error:
            raise DistillError(f'no data at {error.filename or error}: set '
                               'test_dataloader.dataset.data_root') from None
        except DistillError:
            raise
        except (AssertionError, RuntimeError, ValueError) as error:  # the hosts' own checks: classes, files, prefixes
            empty = 'need at least one array' in str(error)  # what the host says of a folder without images
            reason = 'it finds no image: check data_root, data_prefix and img_suffix' if empty else error
            raise DistillError(f'test_dataloader.dataset: {" ".join(str(reason).split())}') from None
        self.batch_size, self.num_workers = self.dataloader.batch_size, self.dataloader.num_workers
        self.method, self.seed, self.resume, self.dry_run = method, seed, resume, dry_run
        if on_nonfinite not in ('stop', 'skip'):
            raise DistillError(f"test_cfg.on_nonfinite={on_nonfinite!r} is unknown: set it to 'stop' or 'skip'")
        self.on_nonfinite = on_nonfinite
        self.plan: Optional[Plan] = None
        self.extra: Dict[str, Any] = {}
        self.plan_path = osp.join(runner.work_dir, 'plan.json')
        self.root = osp.join(runner.work_dir, 'distilled')
        self.writer_cfg = dict(self.source.writer_defaults(), **{**(writer or {}), 'root': self.root})
        self.writer: Optional[Any] = None
        self.start_latent: Optional[Callable[[Request], np.ndarray]] = None
        self._check_kinds()
        runner.visualizer.dataset_meta = runner.model.dataset_meta = self.dataset.metainfo

    def _check_kinds(self) -> None:
        own = self.source.kind
        for part, registry, cfg in (('generator', GENERATORS, self.runner.cfg.model.get('generator')),
                                    ('writer', WRITERS, self.writer_cfg)):
            kind = getattr(registry.get(cfg['type']), 'kind', own) if cfg else own
            if kind != own:
                others = sorted(name for name, cls in registry.module_dict.items() if getattr(cls, 'kind', '') == own)
                raise DistillError(f'{cfg["type"]} is a {part} for {kind}, but {type(self.dataset).__name__} has '
                                   f'{own}: take {" or ".join(others)}')

    @property
    def masks(self) -> DatasetMasks:
        """The real data set's masks.

        Raises:
            DistillError: It has none.
        """
        if not isinstance(self.source, DatasetMasks):
            raise DistillError(f'{type(self.dataset).__name__} has classes and no masks, which a hook of custom_hooks '
                               'needs: take ClassPlanHook or PrototypeHook, or a data set of mmsegmentation')
        return self.source

    @property
    def config_hash(self) -> str:
        """Hash of what decides the images: data set, generator, method, seed, selection and guidance."""
        cfg = self.runner.cfg
        hooks = [hook for hook in cfg.get('custom_hooks') or [] if hook['type'].split('.')[-1] != 'PreviewHook']
        return config_hash([cfg.model, cfg.test_dataloader['dataset'], self.method, self.seed, hooks,
                            cfg.test_cfg.get('writer')])

    def run(self) -> dict:
        """Make what the plan asks for and is not there yet."""
        runner = self.runner
        runner.call_hook('before_test')
        if self.plan is None:
            hook = 'MaskSelectionHook' if isinstance(self.source, DatasetMasks) else 'PrototypeHook'
            raise DistillError(f'no hook made a plan: add dict(type="{hook}", ...) to custom_hooks')
        self._announce()
        if self.dry_run:
            runner.call_hook('after_test')
            return {}
        self.writer = WRITERS.build(self.writer_cfg)
        pending = [request for request in self.plan.requests if not self.writer.done(request.id)]
        barrier()  # all ranks list before any rank writes
        self._check_weights(len(pending) < len(self.plan.requests))
        if len(pending) < len(self.plan.requests):
            runner.logger.info(f'{len(self.plan.requests) - len(pending)} images are there, {len(pending)} to make')
        memories = runner.model.guidance.memories if runner.model.guidance else []
        if memories:  # whole classes, since a sample needs those of its class that come before it
            self._recall(memories)
            own = [request for request in pending if request.classes[0] % runner.world_size == runner.rank]
            spare = runner.model.generator.micro_batch
        else:
            own, spare = pending[runner.rank::runner.world_size], 0
        self.dataloader = RequestBatches(own, self._inputs, self.batch_size, spare)
        runner.call_hook('before_test_epoch')
        runner.model.eval()
        for index, batch in enumerate(self.dataloader):
            runner.call_hook('before_test_iter', batch_idx=index, data_batch=batch)
            results = enumerate(runner.model.test_step(batch))
            outputs = [self._keep(made, row, batch, memories) for row, made in results]
            runner.call_hook('after_test_iter', batch_idx=index, data_batch=batch, outputs=outputs)
        barrier()
        missing = [request.id for request in self.plan.requests if not self.writer.done(request.id)]
        if missing and self.on_nonfinite == 'skip':
            raise DistillError(f'{len(missing)} images are not finite and were left out, so the set is unfinished: '
                               f'{", ".join(missing)}; --resume tries them again, which helps where the cause was '
                               'outside; else lower the scale of guidance or run in float32, in another --work-dir')
        if runner.rank == 0:
            write_manifest(self.root, self.plan, self.writer.layout, runner.model.generator.describe(), self.extra)
            runner.logger.info(f'Distilled set is complete: {len(self.plan.requests)} images in {self.root}')
        runner.call_hook('after_test_epoch', metrics=dict(images=len(self.plan.requests)))
        runner.call_hook('after_test')
        return {}

    def _check_weights(self, some: bool) -> None:
        """Note the generator's weights in ``{work_dir}/weights.json``; if there are some images, they are of these."""
        path, own = Path(self.runner.work_dir, 'weights.json'), self.runner.model.generator.sources
        if some and path.exists() and json.loads(path.read_text()) != own:
            raise DistillError(f'the images in {self.root} were made by other weights ({path} names them): give the '
                               'generator those, remove the images, or choose another --work-dir')
        barrier()  # all ranks look before one writes
        if self.runner.rank == 0:
            write_json(path, own)

    def _inputs(self, requests: List[Request], spare: Sequence[Request] = ()) -> Dict[str, Any]:
        """What the generator is given besides the requests of a batch."""
        inputs = self.source.inputs(requests)
        if self.start_latent is not None:
            inputs['latents'] = [self.start_latent(request) for request in [*requests, *spare]]
        return inputs

    def _recall(self, memories: Sequence) -> None:
        """Give the objectives what was finished before."""
        for request in self.plan.requests:
            if request.classes[0] % self.runner.world_size == self.runner.rank and self.writer.done(request.id):
                latents = torch.from_numpy(self.writer.latents(request.id))
                for memory in memories:
                    memory.remember(request, latents)

    def _keep(self, made: Synthesis, row: int, batch: dict, memories: Sequence) -> Optional[np.ndarray]:
        """Write an image, and have the objectives remember it; None for one that is not finite."""
        if made.error:
            if self.on_nonfinite == 'stop':
                raise DistillError(f'request {made.request.id}: {made.error}; test_cfg.on_nonfinite=skip goes on '
                                   'without such images')
            self.runner.logger.warning(f'request {made.request.id} is left out: {made.error}')
            return None
        extra = {}
        if 'masks' in batch:
            extra['mask'] = resize_mask(batch['masks'][row], made.image.shape[:2])
        if memories:
            extra['latents'] = made.latents.numpy()
        self.writer.write(made.request.id, made.image, **extra)
        for memory in memories:
            memory.remember(made.request, made.latents)
        return made.image

    @property
    def image_size(self) -> Tuple[int, int]:
        """(H, W) of the images that are made."""
        return self.runner.model.generator.image_size

    def real_batches(self, batch_size: int = 16) -> Iterator[Tuple[torch.Tensor, torch.Tensor]]:
        """The real set at the generator's size: images (B, 3, H, W) RGB in [-1, 1] and masks (B, H, W) int64."""
        size, device = self.image_size, get_device()
        for start in range(0, len(self.masks), batch_size):
            pairs = [self.masks.pair(i, size) for i in range(start, min(start + batch_size, len(self.masks)))]
            images = torch.from_numpy(np.stack([image for image, _ in pairs])).permute(0, 3, 1, 2)
            masks = torch.from_numpy(np.stack([mask for _, mask in pairs]))
            yield images.to(device).float() / 127.5 - 1, masks.to(device).long()

    def _announce(self) -> None:
        """Say what is going to be made, from what, and where it goes."""
        plan, logger = self.plan, self.runner.logger
        counts = [0] * len(plan.classes)
        for request in plan.requests:
            for index in request.classes:
                counts[index] += 1
        if len(set(counts)) == 1:
            listed = f'{counts[0]} for each of {len(counts)} classes'
        else:
            listed = 'images with each class: ' + ', '.join(f'{n} {c}' for n, c in zip(plan.classes, counts) if c)
        generator = {k: v for k, v in self.runner.cfg.model['generator'].items() if isinstance(v, (str, int, float))}
        logger.info(f'Plan: {len(plan.requests)} images from {plan.source_size}; {listed}')
        missing = [name for name, count in zip(plan.classes, counts) if not count]
        if missing:
            logger.warning(f'No image has: {", ".join(missing)}')
        logger.info(f'Generator: {generator}')
        logger.info(f'Plan: {self.plan_path}')
        if not self.dry_run:
            logger.info(f'Distilled set: {Path(self.root).resolve()}')
