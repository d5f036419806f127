"""The estimated cost before a run starts, and the remaining time while it runs."""
import logging
import re
from types import SimpleNamespace

import pytest

from mmdistill.engine.cleaning import CleaningSettings
from mmdistill.engine.composition import Composition
from mmdistill.engine.guiding import GuidanceSettings
from mmdistill.engine.cost import PaceHook, lines, work_of
from mmdistill.engine.mask_planning import MaskPlanner
from mmdistill.engine.planning import ClassPlanner, PrototypePlanner
from mmdistill.generation.cost import Cost
from mmdistill.plan import Request
from mmdistill.tasks.classification import Classification
from mmdistill.tasks.segmentation import Segmentation


def test_a_dry_run_says_what_the_run_will_cost(tools, streets, tmp_path):
    done = tools('distill', streets, '--work-dir', tmp_path, '--dry-run', '--tflops', '0.01')
    assert done.returncode == 0, done.stderr
    shares = re.search(r'Cost: (\S+) TFLOP for 6 images: (.*)', done.stdout)
    assert float(shares[1]) > 0 and set(re.findall('[a-z]+', shares[2])) == {
        'sampling', 'guidance', 'decoding', 'statistics'}
    assert 98 <= sum(map(int, re.findall(r'(\d+)%', shares[2]))) <= 102
    assert re.search(r'Memory: about .* GiB at micro_batch=2: under 0\.1 of weights, .*[\d.]+ of activations in',
                     done.stdout)
    assert re.search(r'Time: 0:\d\d:\d\d at 0.01 TFLOP/s', done.stdout)


def test_a_run_measures_its_rate_and_says_what_it_took(tools, streets, tmp_path):
    done = tools('distill', streets, '--work-dir', tmp_path, '--cfg-options', 'test_dataloader.batch_size=2')
    assert done.returncode == 0, done.stderr
    assert 'Cost: ' in done.stdout and 'Time: ' not in done.stdout  # no rate was given
    assert re.search(r'Measured: \S+ TFLOP/s, \S+ left', done.stdout)
    assert re.search(r'The images took \S+ at \S+ TFLOP/s', done.stdout)
    log, = tmp_path.glob('*/*.log')
    assert re.findall(r'\[(\d)/3\] +eta: (\S+)', log.read_text())[-1] == ('3', '0:00:00')
    resumed = tools('distill', streets, '--work-dir', tmp_path, '--resume', '--dry-run')
    assert 'Cost: no image is left to generate' in resumed.stdout, resumed.stdout + resumed.stderr


@pytest.mark.parametrize('rate', ['0', '-1', 'fast', 'inf', 'nan'])
def test_a_rate_is_a_number_above_zero(tools, streets, rate):
    done = tools('distill', streets, '--dry-run', f'--tflops={rate}')
    assert done.returncode == 2 and f"'{rate}' is not a number above 0" in done.stderr


def test_weights_on_the_hub_have_no_estimate_in_a_dry_run(tools, streets, tmp_path):
    done = tools('distill', streets, '--work-dir', tmp_path, '--dry-run', '--cfg-options',
                 'model.generator.weights=somebody/streets')
    assert done.returncode == 0, done.stderr
    assert 'Cost: no estimate: the configs of somebody/streets are not in the local cache' in done.stdout


def test_a_segmentor_that_cannot_be_counted_is_left_out_and_named(tools, streets, tmp_path):
    broken = 'from mmdistill.models.segmentor import SegmentorGuide\n' \
             'def outline(cls, settings): raise NotImplementedError("no meta kernel")\n' \
             'SegmentorGuide.outline = classmethod(outline)'
    done = tools('distill', streets, '--work-dir', tmp_path, '--dry-run', before=broken)
    assert done.returncode == 0 and 'Cost: ' in done.stdout
    assert 'leaves out the segmentor (NotImplementedError: no meta kernel)' in done.stdout


class Run(SimpleNamespace):
    """A loop with a plan of 7 images, as an estimate reads it."""

    def __init__(self, tmp_path, planner, guidance=None, task=None, **changes):
        requests = [Request(str(n), n, classes=(n % 5, )) for n in range(7)]
        source = type('Source', (SimpleNamespace, ), dict(__len__=lambda self: 50))(counts=[10] * 5)
        composition = Composition()
        composition.planner, composition.guidance = planner, guidance
        super().__init__(**dict(dict(
            plan=SimpleNamespace(requests=requests), composition=composition,
            resume=False, writer=None, batch_size=3, runner=SimpleNamespace(world_size=1), source=source,
            work_dir=str(tmp_path), task=task), **changes))


def guidance(objective, **settings):
    return GuidanceSettings([dict(type=objective)], None, settings)


def test_the_work_of_each_planner(tmp_path):
    work = work_of(Run(tmp_path, ClassPlanner(2)))
    assert (work.batches, work.images, work.encoded, work.from_latents) == ([3, 3, 1], 7, 0, False)
    work = work_of(Run(tmp_path, PrototypePlanner(2)))
    assert work.encoded == 50 and work.from_latents
    for strategy, expected in (('medoids', 50), ('density', 10)):
        assert work_of(Run(tmp_path, PrototypePlanner(2, strategy=strategy))).encoded == expected
    (tmp_path / 'prototypes.safetensors').touch()
    assert work_of(Run(tmp_path, PrototypePlanner(2))).encoded == 0


def test_processes_share_batches(tmp_path):
    work = work_of(Run(tmp_path, ClassPlanner(2), runner=SimpleNamespace(world_size=2)))
    assert (work.batches, work.processes) == ([3, 1, 3], 2)


def test_finished_images_are_not_counted_again(tmp_path):
    run = Run(tmp_path, ClassPlanner(2), resume=True, is_done=lambda request: request.id in '0123')
    assert work_of(run).batches == [3]


@pytest.mark.parametrize('support, expected', [
    (dict(), 50), (dict(n_clusters=4, strategy='density'), 20), (dict(n_clusters=99, strategy='density'), 50),
    (dict(n_clusters=None, strategy='density'), 10), (dict(n_clusters=4, strategy='medoids'), 50)])
def test_support_points_are_encoded(tmp_path, support, expected):
    work = work_of(Run(tmp_path, ClassPlanner(2), guidance('TransportMatching', support=support), Classification()))
    assert (work.encoded, work.measured) == (expected, 0)
    (tmp_path / 'support_points.safetensors').touch()
    work = work_of(Run(tmp_path, ClassPlanner(2), guidance('TransportMatching', support=support), Classification()))
    assert work.encoded == 0


def test_statistics_are_measured_where_an_objective_needs_them(tmp_path):
    planner = MaskPlanner(dict(type='RandomSelector'))
    for objective, expected in (('SegmentationConsistency', 0), ('ClassFeatureMatching', 50)):
        settings = guidance(objective, segmentor=dict(type='SegmentorGuide'))
        assert settings.asks_segmentor()
        assert work_of(Run(tmp_path, planner, settings, Segmentation())).measured == expected
    assert not guidance('TransportMatching').asks_segmentor()


def test_cleaned_labels_are_counted(tmp_path):
    run = Run(tmp_path, MaskPlanner(dict(type='RandomSelector')), None, Segmentation())
    run.composition.cleaning = CleaningSettings([dict(type='LossThreshold')], dict(segmentor=dict(config='a')))
    work = work_of(run)
    assert (work.cleaned, work.measured) == (7, 50)
    (tmp_path / 'class_losses.json').touch()
    assert work_of(run).measured == 0


def test_the_lines():
    cost = Cost(203, 8, dict(sampling=9040.0, guidance=960.0), 2.8, dict(sampling=1.4, guidance=9.6), processes=2)
    assert lines(cost, 50.0) == [
        'Cost: 10 000 TFLOP for 203 images: sampling 90%, guidance 10%',
        'Memory: about 12.4 GiB at micro_batch=8: 2.8 of weights, 9.6 of activations in guidance, the '
        "device's runtime not included", 'Time: 0:01:40 at 50 TFLOP/s on 2 devices']
    assert lines(cost, 0.5)[2].startswith('Time: 2.8 hours at 0.5') and len(lines(cost)) == 2


def test_the_time_left_is_corrected(monkeypatch, caplog):
    clock = iter([0.0, 60.0, 70.0, 80.0])
    monkeypatch.setattr('mmdistill.engine.cost.time.perf_counter', lambda: next(clock))
    eta = {}
    runner = SimpleNamespace(message_hub=SimpleNamespace(update_info=eta.__setitem__), logger=logging.getLogger('x'))
    hook = PaceHook(Cost(10, 2, dict(sampling=8.0, decoding=2.0, encoding=90.0), 1.0, {}), images=10)
    hook.before_test_epoch(runner)
    with caplog.at_level(logging.INFO):
        for index, expected in enumerate((240.0, 30.0, 20.0)):  # the first batch is slow, and forgotten
            hook.after_test_iter(runner, index, dict(requests=[None] * 2))
            assert eta['eta'] == pytest.approx(expected)
        hook.after_test_epoch(runner)
    assert 'Measured: 0.2 TFLOP/s, 0:00:30 left' in caplog.text
    assert 'The images took 0:01:20 at 0.2 TFLOP/s' in caplog.text
