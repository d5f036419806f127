"""A generator that does not fit its weights or the dataset is refused before a mask is read or a plan is written."""
import pytest

LEFT = ('plan.json', 'class_histograms.npz', 'selection.png', 'inputs.json', 'distilled')


@pytest.fixture
def refused(tools, town):
    """``refused(*options)``: the line of a run that is refused, dry or not."""

    def line(*options):
        for flags in (['--dry-run'], []):
            done = tools('distill', town.config, '--work-dir', town.work, *flags, '--cfg-options', *options)
            assert done.returncode == 1 and not any((town.work / name).exists() for name in LEFT), done.stderr
        return done.stderr.strip().splitlines()[-1]

    return line


def controlnet(folder):
    return [f'model.generator.{key}={value}' for key, value in dict(
        _delete_=True, type='ControlNetGenerator', weights=folder, controlnet=folder / 'colours', image_size=32,
        num_steps=2, micro_batch=2).items()]


def test_an_image_size_that_the_networks_cannot_have(refused):
    assert refused('model.generator.image_size=(30,45)') == (
        'error: model.generator: image_size=(30, 45) has to be a multiple of 8 with these weights, such as (32, 48)')


def test_a_dataset_without_colours_for_a_network_that_reads_them(refused, tools, town, sd_folder):
    """mmseg makes up a palette for such a dataset."""
    colours = 'test_dataloader.dataset.metainfo.palette'
    options = controlnet(sd_folder)
    say = refused(*options, f'{colours}=[]')
    assert say == ('error: model.generator needs a palette, since it sees masks as colours: give metainfo.palette '
                   'of the dataset one RGB triple per class, those of its training')
    done = tools('distill', town.config, '--work-dir', town.work, '--dry-run', '--cfg-options', *options)
    assert done.returncode == 0, done.stderr


def test_the_selector_is_named_in_its_errors(tools, town):
    for option, say in (('budget=9', 'budget 9 is out of range'),
                        ('min_gap=9', 'min_gap=9 leaves no further mask after 1 of 2: lower it or the budget')):
        done = tools('distill', town.config, '--work-dir', town.work, '--dry-run', '--cfg-options',
                     f'custom_hooks.MaskSelectionHook.selector.{option}')
        assert done.returncode == 1 and f'error: MaskSelectionHook.selector: {say}' in done.stderr, done.stderr


@pytest.mark.parametrize('subset', [[], ['test_dataloader.dataset.indices=2']])
def test_a_suffix_that_no_image_has(tools, town, subset):
    done = tools('distill', town.config, '--work-dir', town.work, '--cfg-options',
                 'test_dataloader.dataset.img_suffix=.jpg', *subset)
    assert done.stderr.strip().splitlines()[-1] == (
        f"error: test_dataloader.dataset: no file in {town.data}/images ends in '.jpg'; it has 4 files *.png: set "
        'img_suffix, data_root or data_prefix')


def test_a_finished_set_is_refused_before_anything_is_written(tools, town, tree):
    options = ('distill', town.config, '--work-dir', town.work)
    assert tools(*options).returncode == 0
    before = tree(town.work)
    done = tools(*options)
    assert done.returncode == 1 and 'already contains a distilled set: continue it with --resume' in done.stderr
    assert tree(town.work) == before


@pytest.mark.parametrize('size, warned', [((32, 48), False), ((32, 64), True), ((64, 32), True)])
def test_images_of_another_shape_than_the_photos(tools, town, size, warned):
    done = tools('distill', town.config, '--work-dir', town.work, '--dry-run', '--cfg-options',
                 f'model.generator.image_size={size}'.replace(' ', ''))
    said = f'Images are generated at {size} (height, width), but the first photo has (32, 32): masks are resized'
    assert done.returncode == 0 and (said in done.stdout + done.stderr) == warned, done.stderr


@pytest.mark.parametrize('method, warned', [('D3S2', True), ('unguided', False)])
def test_a_set_without_guidance_is_not_d3s2(tools, town, tmp_path, method, warned):
    config = tmp_path / 'unguided.py'
    config.write_text(f"_base_ = {str(town.config)!r}\ncustom_hooks = [dict(type='MaskSelectionHook', workers=0, "
                      f"selector=dict(type='ClassBalancedGreedy', budget=2))]\ntest_cfg = dict(method={method!r})\n")
    done = tools('distill', config, '--work-dir', town.work, '--dry-run')
    said = "test_cfg.method='D3S2' will be written to the set, but no hook guides the images"
    assert done.returncode == 0 and (said in done.stdout + done.stderr) == warned, done.stderr
