"""The loop of a distillation run."""
import os.path as osp
from typing import Any, Dict, List, Literal, Optional, Sequence, Tuple, Union

import numpy as np
import torch
from mmengine.dist import barrier, is_main_process
from mmengine.runner import BaseLoop
from torch.utils.data import DataLoader

from mmdistill.bars import ProgressBar
from mmdistill.datasets.checksums import Journal
from mmdistill.datasets.origin import provenance
from mmdistill.datasets.palettes import without_random_palette
from mmdistill.datasets.wrappers import parts_of
from mmdistill.errors import DistillError
from mmdistill.generation import Synthesis
from mmdistill.generation.cost import Cost
from mmdistill.guidance import Guidance
from mmdistill.plan import Plan, Request, group_numbers, groups_of
from mmdistill.registry import LOOPS, WRITERS
from mmdistill.settings import NonNegativeInt, Positive, validated
from mmdistill.tasks.base import task_of_datasets
from .batches import RequestBatches
from .check import check_fit, check_run, load_plan, run_hash, run_settings, writer_config
from .composition import Composition
from .cost import PaceHook, announce_cost, check_outline
from .finishing import finish
from .inherited import KEY, same_split
from .inputs import Inputs
from .places import check_empty
from .planning import StartLatents, check_ids, check_sources
from .progress import announce, announce_source, log_guidance, warn_shape
from .wrapped_data import wrapped_dataset_errors


@LOOPS.register_module()
class DistillLoop(BaseLoop):
    """The ``test_cfg`` of a distillation run: plans the images, generates them and writes the distilled set.

    Hooks define the plan and the guidance (:class:`~mmdistill.engine.composition.Composition`). Each rank generates its
    share of the images that do not exist yet. The set is written to ``{work_dir}/distilled``; its manifest, which is
    written last, completes it. If the run chooses among candidates, all of them are first written to
    ``{work_dir}/candidates``.

    Args:
        dataloader: Config of ``test_dataloader``. Its ``dataset`` is a real dataset of mmsegmentation or mmpretrain,
            ``batch_size`` is the number of images per iteration of the loop (one line in the log, one preview), and
            ``num_workers`` is the number of processes that read real images.
        evaluator: Unused, but required by MMEngine (``test_evaluator=[]``).
        method: Name of the method, for the manifest.
        writer: Config of a registered writer, without its ``root``.
        seed: Seed of the run. The random numbers of an image depend on it and on the id of the image only.
        on_nonfinite: What to do if latents or gradients of an image are not finite: ``'stop'`` the run, or ``'skip'``
            the image. With ``'skip'`` all other images are generated, and the run ends with an error that lists the
            missing ones; ``--resume`` tries them again.
        resume: Whether to continue the run in the work dir. Set by ``--resume``.
        dry_run: Whether to stop after the plan is written. Set by ``--dry-run``.
        tflops: Speed of the device in TFLOP/s, for the estimated time. Set by ``--tflops``.
        dataset_key: Key of the dataset in the user's config, for messages. Set by
            :func:`~mmdistill.engine.inherited.distillation_config`.

    Attributes:
        composition: The parts of the run that the hooks define.
        task: The task of the dataset.
        source: Reads the real dataset.
        work_dir, logger: Taken from the runner.
        num_workers: Taken from the dataloader.
        plan: The plan of the run; set by :meth:`run`.
        root, writer, files: Folder of the generated images, their writer, and a function: request id → file type → path
            relative to the folder.
        final_root, final_writer, final_files: The same for the distilled set; different only with candidates.
    """
    plan: Plan
    cost: Optional[Cost]  # None if it cannot be estimated
    dataloader: Any  # replaced by RequestBatches once the requests are known

    @validated
    def __init__(self, runner, dataloader: Union[DataLoader, Dict], evaluator: Any = None, method: str = 'D3S2',
                 writer: Optional[dict] = None, seed: NonNegativeInt = 0,
                 on_nonfinite: Literal['stop', 'skip'] = 'stop', resume: bool = False, dry_run: bool = False,
                 tflops: Optional[Positive] = None, dataset_key: str = KEY) -> None:
        check_run(runner.cfg)
        with wrapped_dataset_errors(runner.cfg.test_dataloader['dataset'], dataset_key):
            super().__init__(runner, dataloader)
            parts = parts_of(self.dataloader.dataset)
            self.task = task_of_datasets({part.key or dataset_key: type(part.dataset) for part in parts})
            self.source = self.task.source(self.dataloader.dataset)
            self.dataset = self.source.dataset
        announce_source(runner, self.dataloader.dataset, self.dataset, dataset_key)
        self.batch_size, self.num_workers = self.dataloader.batch_size, self.dataloader.num_workers
        self.method, self.seed, self.resume, self.dry_run = method, seed, resume, dry_run
        self.tflops, self.cost = tflops, None
        self.on_nonfinite, self.work_dir, self.logger = on_nonfinite, runner.work_dir, runner.logger
        self.plan_path = osp.join(self.work_dir, 'plan.json')
        self.composition = Composition()
        check_fit(self.task, runner.cfg.model['generator'], writer)
        self._writer = writer_config(writer, self.task, self.dataset)
        self._write_to('distilled')
        self.final_root, self.final_writer, self.final_files = self.root, self.writer, self.files
        runner.visualizer.dataset_meta = self.metainfo = dict(self.dataset.metainfo, classes=self.source.classes)

    def _write_to(self, folder: str) -> None:
        self.root = osp.join(self.work_dir, folder)
        self.writer = WRITERS.build(dict(self._writer, root=self.root))
        self.files = getattr(self.writer, 'files', self.writer.layout.files)
        self.journal = Journal(self.work_dir, self.root, self.files, self.runner.rank)

    @property
    def generator(self) -> Any:
        """The generator, loaded on first access."""
        return self.runner.model.generator

    def is_done(self, request: Request) -> bool:
        """Whether the files of a request exist and are unchanged."""
        return self.writer.done(request.id) and self.journal.holds(request.id)

    def run(self) -> dict:
        """Plan the run, or load its plan, and generate the images that do not exist yet."""
        runner = self.runner
        runner.call_hook('before_test')
        planner = self.composition.check(self.task, runner.cfg.model['generator'], type(self.writer))
        if self.composition.choice:
            self._write_to('candidates')
        planner.check(self.source)
        runner.model.take_metainfo(without_random_palette(self.metainfo))
        outlined = check_outline(runner.model)
        self.composition.check_classes(self.task, self.source.classes)
        self.journal.read()
        self.plan = self._old_plan() if self.resume else self._new_plan(planner)
        self.inputs = Inputs(self.work_dir, self.resume, self.resume and any(map(self.is_done, self.plan.requests)))
        self.inputs.add('data', self.source.fingerprint(), self.source.files)
        self.inputs.save()
        announce(self)
        if outlined is not None:
            warn_shape(self.logger, self.source, outlined.image_size)
        self.cost = announce_cost(self, outlined)
        if not self.dry_run:
            self._note_inputs(planner)
            starts, guidance = planner.start_latents(self), self._guide()
            self.inputs.add_measured()
            self.inputs.save()
            self._synthesize(starts, guidance)
            finish(self)
        runner.call_hook('after_test')
        return {}

    def _old_plan(self) -> Plan:
        plan = load_plan(self.runner.cfg, self.composition)
        check_sources(plan, self.source, self.plan_path)
        return plan

    def _new_plan(self, planner) -> Plan:
        check_empty(self.final_root, self.root)
        source = self.source
        source.check_files()
        other = same_split(self.runner.cfg)
        split = dict(other_split=other) if other else {}
        plan = Plan(
            method=self.method, config_hash=run_hash(self.runner.cfg, self.composition), seed=self.seed,
            classes=source.classes, palette=source.palette, source_size=len(source),
            requests=tuple(planner.requests(self)),
            provenance={**planner.provenance(self), **split, **provenance(self.dataset)},
            settings=run_settings(self.runner.cfg, self.composition))
        check_ids(plan.requests, self.writer)
        if is_main_process():
            plan.save(self.plan_path)
        return plan

    def _guide(self) -> Optional[Guidance]:
        """Build the guidance and give it to the model."""
        settings = self.composition.guidance
        guidance = settings.build(self.resources['guidance']) if settings else None
        self.runner.model.guidance = guidance
        return guidance

    def _note_inputs(self, planner: Any) -> None:
        """Load the resources of guidance, cleaning and choice; raise a DistillError if they changed during the run."""
        parts = dict(guidance=self.composition.guidance, cleaning=self.composition.cleaning)
        settings = {name: part.resources for name, part in parts.items() if part}
        self.resources: Dict[str, Any] = {}
        for name in settings:  # guidance and cleaning by the same network load it once
            same = next((self.resources[other] for other in self.resources if settings[other] == settings[name]), None)
            self.resources[name] = same or self.task.resources(self, **settings[name])
        if self.composition.guidance:
            self.composition.guidance.check_generator(self.generator, planner.starts)
        self.inputs.add('generator', self.generator.sources)
        for name, resources in self.resources.items():
            if found := resources.fingerprint():
                self.inputs.add(name, found)
        self.encoder = self.composition.choice.prepare(self.plan) if self.composition.choice else None

    def _synthesize(self, start_latents: Optional[StartLatents], guidance: Optional[Guidance]) -> None:
        """Generate this rank's share of the images."""
        runner, requests = self.runner, self.plan.requests
        pending = [request for request in requests if not self.is_done(request)]
        barrier()  # no rank writes before all ranks have listed the files
        done = len(requests) - len(pending)
        if done:
            self.logger.info(f'{done} images exist, {len(pending)} are to be generated')
        memories = guidance.memories if guidance else []
        if memories:
            self._recall(memories)
        mine, batching = self._share(pending, guidance)

        def inputs(batch: Sequence[Request], upcoming: Sequence[Request] = ()) -> Dict[str, Any]:
            starts = {} if start_latents is None else dict(latents=[start_latents(one) for one in [*batch, *upcoming]])
            return {**self.source.inputs(batch, self.generator.image_size), **starts}

        self.dataloader = RequestBatches(mine, inputs, self.batch_size, **batching)
        if self.cost is not None:
            runner.register_hook(PaceHook(self.cost, len(mine)))
        runner.call_hook('before_test_epoch')
        runner.model.eval()
        bar = ProgressBar(len(mine)) if is_main_process() and mine else None
        for index, batch in enumerate(self.dataloader):
            runner.call_hook('before_test_iter', batch_idx=index, data_batch=batch)
            traces, outputs = [], []
            for row, made in enumerate(runner.model.test_step(batch)):
                outputs.append(self._keep(made, row, batch, memories))
                traces += [made.trace] if made.trace else []
            log_guidance(runner, traces, index)
            runner.call_hook('after_test_iter', batch_idx=index, data_batch=batch, outputs=outputs)
            if bar:
                bar.update(len(outputs))
        if bar:
            bar.close()
        barrier()

    def _share(self, pending: Sequence[Request], guidance: Optional[Guidance]) -> Tuple[List[Request], Dict[str, Any]]:
        """This rank's share of the pending requests, in the order of generation, and the settings of its batches."""
        groups, world_size = groups_of(self.plan.requests), self.runner.world_size
        if guidance is not None and guidance.joint:  # complete groups; an interrupted group is generated again
            begun = {request.group for request in pending}
            return [request for group in groups.values() for request in group
                    if request.group in begun and self._is_mine(request)], dict(joint=True)
        memories = guidance.memories if guidance else []
        if not memories:
            return list(pending[self.runner.rank::world_size]), {}
        # Complete groups, because a sample depends on the earlier ones of its group.
        self.generator.narrow(-(-len(groups) // world_size))  # a batch has at most one sample per group
        numbers = group_numbers(self.plan.requests)
        mine = sorted(filter(self._is_mine, pending), key=numbers.__getitem__)
        return mine, dict(upcoming=self.generator.micro_batch,
                          ready=lambda request: all(memory.ready(request) for memory in memories))

    def _is_mine(self, request: Request) -> bool:
        """Whether this rank generates the class of the request."""
        return request.classes[0] % self.runner.world_size == self.runner.rank

    def _recall(self, memories: Sequence) -> None:
        """Pass the latents of existing images to the objectives that need them."""
        for request in self.plan.requests:
            if self._is_mine(request) and self.is_done(request):
                latents = torch.from_numpy(self.writer.latents(request.id))
                for memory in memories:
                    memory.remember(request, latents)

    def _keep(self, made: Synthesis, row: int, batch: dict, memories: Sequence) -> Optional[np.ndarray]:
        """Write an image and pass it to the objectives that need it. Returns None if the image is not finite."""
        if made.error:
            if self.on_nonfinite == 'stop':
                raise DistillError(f'request {made.request.id}: {made.error}; test_cfg.on_nonfinite=skip leaves '
                                   'such images out')
            self.logger.warning(f'request {made.request.id} is left out: {made.error}')
            return None
        extra = dict(latents=made.latents.numpy()) if memories else {}
        self.writer.write(made.request.id, made.image, **self.source.annotation(batch, row), **extra)
        self.journal.add(made.request.id)
        for memory in memories:
            memory.remember(made.request, made.latents)
        return made.image
