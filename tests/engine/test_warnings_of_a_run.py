"""Warnings and errors about the real dataset: splits, storage backends, changed files, equal class names."""
import json
import re

from mmengine.config import Config

from tests.engine.test_indices import dry_run, refused


def test_a_source_that_only_the_validation_set_tells(tools, town):
    """The folders do not tell the split; the plan records it, and the log warns."""
    cfg = Config.fromfile(town.config)
    dataset = cfg.test_dataloader.dataset
    cfg.merge_from_dict(dict(val_cfg=dict(type='ValLoop'), val_evaluator=[],
                             val_dataloader=dict(batch_size=1, num_workers=0, dataset=dataset,
                                                 sampler=dict(type='DefaultSampler', shuffle=False))))
    cfg.dump(town.config)
    done = dry_run(tools, town)
    assert "test_dataloader.dataset is not a training split (it is val_dataloader's dataset)" in done.stdout
    plan = json.loads((town.work / 'plan.json').read_text())
    assert plan['provenance']['other_split'] == "it is val_dataloader's dataset"


def test_a_storage_backend_that_is_not_there(tools, town):
    refused(tools, town, r"test_dataloader\.dataset\.backend_args: no storage backend 'petrl' is registered: use "
            'one of .*, or import yours through custom_imports', backend_args=dict(backend='petrl'))


def test_files_that_changed_are_named(tools, town):
    done = tools('distill', town.config, '--work-dir', town.work)
    assert done.returncode == 0, done.stderr[-2000:]
    for name in ('images/3.png', 'masks/1.png'):
        path = town.data / name
        path.write_bytes(path.read_bytes())
    (town.work / 'distilled/meta/distilled.json').unlink()
    done = tools('distill', town.config, '--work-dir', town.work, '--resume')
    assert done.returncode == 1 and re.search(
        rf'began \(changed: {town.data}/images/3\.png and 1 more\): restore them', done.stderr), done.stderr


def test_an_error_is_printed_below_the_bar(tools, town):
    """Not that of the progress bar."""
    (town.data / 'masks/3.png').write_bytes(b'text')
    terminal = 'import sys; sys.stdout.isatty = lambda: True'
    done = tools('distill', town.config, '--work-dir', town.work, '--dry-run', before=terminal)
    assert done.returncode == 1 and re.search(r'\d/4 masks[^\n]*\n$', done.stdout), done.stdout
    assert done.stderr.splitlines()[-1].startswith('error: ')
