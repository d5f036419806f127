"""The commands that make the tables of CamVid; none of them is run here."""
import importlib
from pathlib import Path

import pytest

from mmdistill.config import merge_options, read_config
from mmdistill.evaluation.comparison import Comparison
from mmdistill.settings import parameters


@pytest.fixture
def camvid(root, tmp_path, monkeypatch):
    """The program in another folder, and the commands that it would run."""
    monkeypatch.syspath_prepend(str(root / 'benchmarks'))
    module, commands = importlib.import_module('camvid'), []

    def run(command, config, folder=None, workers=None, **options):
        commands.append((command, Path(config).stem, folder and folder.name, options))
        cfg = read_config(str(tmp_path / config))
        merge_options(cfg, {key: int(value) if str(value).isdigit() else value
                            for key, value in options.items() if value is not None}, parameters(Comparison))

    for name in ('configs', 'mmdistill'):
        (tmp_path / name).symlink_to(root / name)
    monkeypatch.setattr(module, 'run', run)
    monkeypatch.setattr(module, 'ROOT', tmp_path)

    def main(*argv):
        commands.clear()
        monkeypatch.setattr('sys.argv', ['camvid.py', *argv])
        module.main()
        return list(commands)

    main.commands = commands
    return main


def test_everything_is_made_first(camvid):
    commands = camvid('--share', '0.05', '--split', 'val')
    assert [command[:2] for command in commands[:2]] == [
        ('train', 'layout-unet_camvid-512x384'), ('train', 'efficientnet-guide_camvid-256x192')]
    made = {folder: (config, options) for command, config, folder, options in commands[2:-1] if command == 'distill'}
    assert list(made) == [f'{kind}_{seed}' for kind in ('photo-10', 'unguided', 'd3s2', 'd3s2-two')
                          for seed in range(3)]
    hook, guide = 'custom_hooks.MaskSelectionHook.', 'custom_hooks.GuidedSynthesisHook.segmentor.checkpoint'
    assert made['unguided_1'][0] == 'unguided_layout-unet_5p_camvid-512x384' and guide not in made['unguided_1'][1]
    config, options = made['d3s2-two_2']
    assert config == 'd3s2_layout-unet_5p_camvid-512x384' and guide in options
    assert (options['test_cfg.seed'], options[f'{hook}selector.budget'], options[f'{hook}images_per_mask']) == (
        '2', 10, 2)
    assert made['d3s2_0'][1][f'{hook}selector.budget'] == 19
    command, config, _, options = commands[-1]
    assert (command, config) == ('evaluate', 'mmseg_pretrained-tiny_5p_camvid-256x192')
    assert options == dict(data_root='data/camvid', split='val', image_sets=3)


def test_rows_of_real_frames_need_no_generator(camvid, root):
    (command, config, _, options), = camvid('--share', '0.1', '--rows', 'random_real', 'greedy_real')
    assert (command, config, options['split']) == ('evaluate', 'mmseg_pretrained-tiny_10p_camvid-256x192', 'test')
    rows = read_config(str(root / f'configs/evaluation/{config}.py')).training_sets
    assert {f'training_sets.{name}' for name in rows} - options.keys() == {
        'training_sets.random_real', 'training_sets.greedy_real'}
    with pytest.raises(SystemExit, match='error: --rows random is none of random_real, '):
        camvid('--rows', 'random')


def test_a_sequence_is_held_out(camvid):
    rows = ('--share', '0.05', '--rows', 'greedy_real')
    (_, _, first, one), (_, _, second, other) = camvid(*rows, '--held-out', '0001TP', '0006R0')
    assert (first, second) == ('0001TP', '0006R0') and one['split'] == other['split'] == 'val'
    for options, held in ((one, range(62)), (other, range(62, 163))):
        trained, tested = options['train_dataset.indices'], options['val_dataset.indices']
        assert {*trained} == {*range(367)} - {*held} and tested == [*held[::2]]
        assert options['val_dataset.data_prefix.img_path'] == 'images/train'
    with pytest.raises(SystemExit, match=r'--held-out compares real frames: leave .*unguided_0 out'):
        camvid('--share', '0.05', '--rows', 'unguided', '--held-out', '0001TP')


def test_one_student_of_the_two(camvid, tmp_path):
    (_, config, *_), = camvid('--share', '0.05', '--rows', 'random_real', '--students', 'pretrained')
    cfg = read_config(str(tmp_path / f'work_dirs/configs/{config}.py'))
    assert config == 'mmseg_pretrained-tiny_5p_camvid-256x192' and dict(cfg.students) == dict(pretrained=None)
    with pytest.raises(SystemExit, match='error: --students unet is none of pretrained, fast_scnn'):
        camvid('--rows', 'random_real', '--students', 'unet')
    with pytest.raises(SystemExit, match='--students unet'):  # before the sets are made
        camvid('--rows', 'unguided', '--students', 'unet')
    assert not camvid.commands


def test_every_set_is_resumed_and_a_union_has_its_members(camvid):
    """So a finished set is kept, and one of other settings is an error of the command."""
    commands = camvid('--share', '0.05', '--rows', 'distilled_and_random', '--generator', 'mine', '--decoder', 'tuned',
                      '--guide', 'my.pth')
    assert [command[::2][:2] for command in commands] == [
        *(('distill', f'd3s2_{seed}') for seed in range(3)), ('evaluate', None)]
    assert [commands[0][3][f'model.generator.{part}'] for part in ('weights', 'vae')] == ['mine', 'tuned']
    left_out = {key.partition('.')[2] for key, value in commands[-1][3].items() if value is None}
    assert not {'distilled', 'random_real', 'distilled_and_random'} & left_out and 'unguided' in left_out


def test_the_stages_of_the_synthesis(camvid, root):
    """Starts from photos by one setting each; the guide is trained for guided sets alone."""
    commands = camvid('--share', 'stages', '--generator', 'mine', '--rows', 'selected_real', 'autoencoder', 'photo_70')
    assert [(command, folder) for command, _, folder, _ in commands[:-1]] == [
        ('distill', f'{kind}_{seed}') for kind in ('autoencoder', 'photo-70') for seed in range(3)]
    assert {config for _, config, _, _ in commands[:-1]} == {'photo-start_layout-unet_5p_camvid-512x384'}
    strengths = [options['model.generator.strength'] for *_, options in commands[:-1]]
    assert strengths == [0.01] * 3 + [0.7] * 3 and commands[0][3]['model.generator.num_steps'] == 100
    assert commands[-1][1] == 'mmseg_pretrained-tiny_5p-stages_camvid-256x192'
    train, guided, *_ = camvid('--share', 'stages', '--generator', 'mine', '--rows', 'photo_guided')
    assert train[:2] == ('train', 'efficientnet-guide_camvid-256x192') and 'model.generator.vae' not in guided[3]
    assert guided[:3] == ('distill', 'photo-guided_layout-unet_5p_camvid-512x384', 'photo-guided_0')
    assert guided[3]['custom_hooks.GuidedSynthesisHook.segmentor.checkpoint'].endswith('model.safetensors')
    cfg = read_config(str(root / f'configs/evaluation/{commands[-1][1]}.py'))
    assert list(cfg.training_sets) == ['selected_real', 'autoencoder', 'photo_10', 'photo_20', 'photo_40', 'photo_70',
                                       'photo_guided', 'unguided', 'distilled']
    assert list(cfg.students) == ['pretrained'] and cfg.budget == 19


def test_the_size_of_each_row_is_that_of_its_share(root):
    for name, frames in (('5p', 19), ('10p', 37)):
        cfg = read_config(str(root / f'configs/evaluation/mmseg_pretrained-tiny_{name}_camvid-256x192.py'))
        sets = cfg.training_sets
        assert cfg.budget == frames and sets.random_real_twice.selector.budget == 2 * frames
        assert {one.indices for one in sets.two_per_mask.dataset} == {frames}
        roots = [*sets.photo_start.data_root, *sets.unguided.data_root, *sets.distilled.data_root]
        roots += [one.data_root for one in sets.two_per_mask.dataset]
        assert len(set(roots)) == 12 and all(root.startswith(f'work_dirs/camvid_{name}/') for root in roots)
