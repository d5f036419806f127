"""Several images per mask, and label cleaning after synthesis, with a config and the command."""
import json
import re
import shutil

import cv2
import numpy as np
import pytest
import torch

from mmdistill.config import read_config
from mmdistill.toy.street_scenes import CLASSES


@pytest.fixture(scope='module')
def config(root, streets, guide, tmp_path_factory):
    """The built-in scenes, 4 masks with 3 images each, both cleaners."""
    path = tmp_path_factory.mktemp('config') / 'cleaned.py'
    hook = dict(type='LabelCleaningHook', segmentor=guide,
                cleaners=[dict(type='MajorityVote'), dict(type='LossThreshold', factor=1.25)])
    path.write_text(f'_base_ = {str(streets)!r}\n'
                    "selection = dict(type='MaskSelectionHook', images_per_mask=3, workers=0,\n"
                    "                 selector=dict(type='ClassBalancedGreedy', budget=4))\n"
                    f'custom_hooks = [selection, _base_.custom_hooks[1], {hook!r}]\n')
    return path


COUNTED = '''
from mmdistill.models import segmentor
frozen_network = segmentor.frozen_network
def counted(*args):
    print('a network is loaded' if args[2] else 'the outline of a network')
    return frozen_network(*args)
segmentor.frozen_network = counted
'''


@pytest.fixture(scope='module')
def finished(tools, config, tmp_path_factory):
    work = tmp_path_factory.mktemp('finished')
    done = tools('distill', config, '--work-dir', work, before=COUNTED)
    assert done.returncode == 0, done.stderr[-3000:]
    return work, done.stdout


@pytest.fixture(scope='module')
def uncleaned(tools, config, tmp_path_factory):
    """The same requests without cleaning."""
    path = config.with_name('uncleaned.py')
    path.write_text(f'_base_ = {str(config)!r}\ncustom_hooks = _base_.custom_hooks[:2]\n')
    work = tmp_path_factory.mktemp('uncleaned')
    assert tools('distill', path, '--work-dir', work).returncode == 0
    return work


def manifest_of(work):
    return json.loads((work / 'distilled/meta/distilled.json').read_text())


def read(work, name):
    return cv2.imread(str(work / 'distilled' / name), cv2.IMREAD_UNCHANGED)


def test_images_of_a_mask(finished):
    work, log = finished
    manifest = manifest_of(work)
    images = manifest['images']
    assert log.count('a network is loaded') == 1  # for guidance and cleaning
    assert manifest['provenance']['images_per_mask'] == 3 and 'from 12 real ones, 3 for each of 4 masks; ' in log
    assert len(images) == 12 == len({image['id'] for image in images}) == len({image['seed'] for image in images})
    sources = [image['source_index'] for image in images]
    assert sources == 3 * sources[:4] and len({*sources}) == 4  # the first image of each mask comes first
    assert [image['id'] for image in images] == [f'{one:06d}_{n}' for n in range(3) for one in sources[:4]]
    pixels = [read(work, image['image']) for image in images]
    assert not any(np.array_equal(pixels[n], pixels[n + 4]) for n in range(8))


def test_labels_that_are_cleaned(finished, uncleaned, config):
    """Pixel for pixel the definitions applied to the files, and the counts in manifest and log."""
    from mmdistill.models.segmentor import SegmentorGuide
    from mmdistill.toy.street_scenes import street_scene
    work, log = finished
    manifest, before = manifest_of(work), manifest_of(uncleaned)
    for one, other in zip(manifest['images'], before['images']):
        assert np.array_equal(read(work, one['image']), read(uncleaned, other['image']))
    settings = read_config(str(config)).custom_hooks[2]['segmentor'].to_dict()
    settings.pop('type')
    net = SegmentorGuide(**settings)

    def losses_of(image, mask):
        """Losses and predictions of an image uint8 (H, W, 3) RGB."""
        with torch.no_grad():
            scores = net(torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float() / 127.5 - 1)[0]
        logs = scores.double().log_softmax(0).numpy()
        safe = np.where(mask == 255, 0, mask)
        return -np.take_along_axis(logs, safe[None].astype(int), 0)[0], scores.argmax(0).numpy()

    sums, counts = np.zeros(len(CLASSES)), np.zeros(len(CLASSES))
    for index in range(12):
        image, mask = street_scene(index, 'train', 32)
        losses, _ = losses_of(image, mask)
        for label in range(len(CLASSES)):
            sums[label] += losses[mask == label].sum()
            counts[label] += (mask == label).sum()
    limits = 1.25 * sums / counts
    votes, losses, labels = {}, {}, {}
    for one in before['images']:
        mask = read(uncleaned, one['mask'])
        loss, seen = losses_of(read(uncleaned, one['image'])[..., ::-1], mask)
        labels[one['id']], losses[one['id']] = mask, loss > limits[np.where(mask == 255, 0, mask)]
        votes.setdefault(one['source_index'], []).append(seen != mask)
    ignored = dict(MajorityVote=0, LossThreshold=0, all=0)
    for one in manifest['images']:
        mask, over = labels[one['id']], losses[one['id']]
        against = np.sum(votes[one['source_index']], axis=0) >= 2
        expected = np.where(against | over, 255, mask)
        assert (read(work, one['mask']) != expected).mean() < 0.005  # a loss on the edge may round to the other side
        for name, pixels in zip(ignored, (against, over, against | over)):
            ignored[name] += (pixels & (mask != 255)).sum()
    total = sum((mask != 255).sum() for mask in labels.values())
    said = manifest['extra']['cleaning']['ignored']
    assert list(said) == list(ignored)
    for name, count in ignored.items():
        assert said[name]['share'] == pytest.approx(count / total, abs=0.005) and 0 < said[name]['share'] < 1
        assert list(said[name]['classes']) == list(CLASSES)
        assert f'Label cleaning, {name}: {said[name]["share"]:.2%} of the labelled pixels' in log
    cleaned = np.concatenate([read(work, one['mask']).ravel() for one in manifest['images']])
    assert said['all']['share'] == pytest.approx((cleaned == 255).mean() if total == cleaned.size else -1, abs=1e-5)


def test_resumed_in_the_middle_of_the_cleaning(tools, config, finished, uncleaned, tree, tmp_path):
    """Some masks are cleaned and an image is missing: the result is the same to the byte as without interruption."""
    work = tmp_path / 'work'
    shutil.copytree(finished[0], work)
    manifest = manifest_of(work)
    for one in manifest['images'][:5]:
        shutil.copy(uncleaned / 'distilled' / one['mask'], work / 'distilled' / one['mask'])
    (work / 'distilled' / manifest['images'][3]['image']).unlink()
    (work / 'distilled/meta/distilled.json').unlink()
    (work / 'class_losses.json').unlink()
    done = tools('distill', config, '--work-dir', work, '--resume')
    assert done.returncode == 0 and '11 images exist' in done.stdout, done.stderr
    assert tree(work / 'distilled') == tree(finished[0] / 'distilled')


def test_two_processes_clean_alike(tools, config, finished, tree, tmp_path):
    tools.in_two_processes('distill', config, '--work-dir', tmp_path)
    assert tree(tmp_path / 'distilled') == tree(finished[0] / 'distilled')


def test_other_cleaners_are_another_run(tools, config, finished, tmp_path):
    work = tmp_path / 'work'
    shutil.copytree(finished[0], work)
    done = tools('distill', config, '--work-dir', work, '--resume', '--cfg-options',
                 'custom_hooks.LabelCleaningHook.cleaners.LossThreshold.factor=2.0')
    assert done.returncode == 1 and ('belongs to another config (custom_hooks.LabelCleaningHook.cleaners.LossThreshold'
                                     '.factor is 1.25 in the plan and 2.0 in the config)') in done.stderr


def test_the_report_and_the_students_data(tools, finished, tmp_path):
    from mmdistill.datasets.manifest import read_manifest
    from mmdistill.evaluation.report.work_dirs import DistilledSet
    from mmdistill.evaluation.report.provenance import origin
    manifest = read_manifest(finished[0] / 'distilled')
    main, parts = origin(DistilledSet(finished[0] / 'distilled', manifest))
    assert main['images_per_mask'] == '3'
    share = manifest['extra']['cleaning']['ignored']['MajorityVote']['share']
    assert parts['Ignored by MajorityVote']['all labelled pixels'] == f'{share:.2%}'
    assert not any('ignored' in key for key in main) and any('cleaners' in key for key in main)
    done = tools('report', finished[0], '--out', tmp_path / 'report.html')
    assert done.returncode == 0, done.stderr
    page = (tmp_path / 'report.html').read_text()
    assert 'Ignored by LossThreshold' in page and '4 of 12 images' in page  # masks, each counted once


@pytest.mark.parametrize('options, say', [
    (['custom_hooks.LabelCleaningHook.cleaners.MajorityVote.typ=3'],
     r'cleaners\.MajorityVote\.typ: unknown setting of Majority'),
    (['custom_hooks.LabelCleaningHook.cleaners.LossThreshold.factor=0'],
     r'cleaners\.LossThreshold\.factor=0 is out of range'),
    (['custom_hooks.LabelCleaningHook.segmentor=None'], 'LabelCleaningHook: MajorityVote needs a segmentor'),
    (['custom_hooks.LabelCleaningHook.cleaners=[]'], r'LabelCleaningHook.cleaners=\[\]: list at least one'),
    (['custom_hooks.MaskSelectionHook.images_per_mask=1'],
     r'cleaners\.MajorityVote: MajorityVote needs at least 2 images per mask, the plan has 1: raise .*images_per_mask'),
    (['custom_hooks.MaskSelectionHook.images_per_mask=0'], r'images_per_mask=0 is out of range'),
    (['custom_hooks.GuidedSynthesisHook.update=output', 'custom_hooks.GuidedSynthesisHook.through=linear'],
     r"GuidedSynthesisHook: update='output' needs the gradient with respect to the output"),
    (['custom_hooks.GuidedSynthesisHook.step=noise', 'custom_hooks.GuidedSynthesisHook.norm=rms'],
     r"GuidedSynthesisHook: step='noise' sets the length")])
def test_mistakes_are_one_line(tools, config, tmp_path, options, say):
    done = tools('distill', config, '--work-dir', tmp_path / 'work', '--dry-run', '--cfg-options', *options)
    assert done.returncode == 1 and re.search(f'^error: .*{say}', done.stderr), done.stderr
    assert not (tmp_path / 'work').exists()


def test_update_of_the_output_by_a_config(tools, config, tmp_path):
    """An early window and ``step='noise'``, with the command; the manifest contains the guidance."""
    hook = 'custom_hooks.GuidedSynthesisHook'
    done = tools('distill', config, '--work-dir', tmp_path, '--cfg-options', f'{hook}.update=output',
                 f'{hook}.step=noise', f'{hook}.window=(0,0.5)', f'{hook}.scale=0.2',
                 'custom_hooks.MaskSelectionHook.images_per_mask=2')
    assert done.returncode == 0 and 'a step is 20.' not in done.stderr, done.stderr
    guidance = manifest_of(tmp_path)['extra']['guidance']
    assert (guidance['update'], guidance['step'], guidance['window']) == ('output', 'noise', [0, 0.5])
    assert len(manifest_of(tmp_path)['images']) == 8
