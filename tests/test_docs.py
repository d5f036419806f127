"""The pages of docs/: messages that the FAQ quotes, the table of versions, and the configs for user data."""
import ast
import re

import numpy as np
import pytest
from PIL import Image

from mmdistill.cli import main


def texts(node: ast.AST) -> str:
    """A string of the code; '…' where it has values."""
    if isinstance(node, ast.JoinedStr):
        return ''.join(part.value if isinstance(part, ast.Constant) else '…' for part in node.values)
    return node.value


def test_the_faq_quotes_messages_of_the_code(root):
    trees = [ast.parse(path.read_text()) for path in (root / 'mmdistill').rglob('*.py')]
    known = [texts(node) for tree in trees for node in ast.walk(tree)
             if isinstance(node, ast.JoinedStr) or isinstance(node, ast.Constant) and isinstance(node.value, str)]
    quoted = re.findall(r'^### "(.+)"$', (root / 'docs/faq.md').read_text(), re.M)
    assert len(quoted) > 12
    for message in quoted:
        pattern = '.*'.join(re.escape(part) for part in re.split(' ?… ?', message))
        assert any(re.search(pattern, text, re.S) for text in known), message


def test_the_table_of_versions_is_that_of_the_requirements(root):
    def read(name):
        return [line for line in (root / f'requirements/{name}.txt').read_text().splitlines() if line[:1].isalpha()]

    tested = dict(line.partition(';')[0].lower().split('==') for line in read('tested') if '==' in line)
    table = {name.lower(): (low, version) for name, low, version in re.findall(
        r'^\| ([\w-]+)(?: \(extra `openmmlab`\))? \| ([\d.]+) \| ([\w.]*) ?\|$',
        (root / 'docs/compatibility.md').read_text(), re.M)}
    wanted = {line.split('>=')[0].lower(): line.split('>=')[1] for line in
              read('core') + read('onedl') + read('openmmlab') if '>=' in line}
    assert table == {name: (low, tested.get(name, '')) for name, low in wanted.items()}


@pytest.fixture
def pages(root):
    """name → text of the configs on the pages."""
    text = ''.join((root / f'docs/{page}.md').read_text() for page in ('your_data', 'generators', 'evaluation'))
    return dict(re.findall(r'```python\n# (\w+\.py)\n(.*?)```', text, re.S))


def test_the_script_for_archives(root, tmp_path, monkeypatch, capfd):
    """MNIST of ten images, exported by the script of the FAQ, is distilled by the config that init writes for it."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / 'data/cifar10'
    folder.mkdir(parents=True)
    for split in ('train', 't10k'):
        head = b'\0\0\x08\x03' + b''.join(side.to_bytes(4, 'big') for side in (10, 28, 28))
        images = np.repeat(np.arange(10, dtype=np.uint8) * 20, 28 * 28)
        (folder / f'{split}-images-idx3-ubyte').write_bytes(head + images.tobytes())
        (folder / f'{split}-labels-idx1-ubyte').write_bytes(
            b'\0\0\x08\x01' + (10).to_bytes(4, 'big') + bytes(reversed(range(10))))
    script, = re.findall(r'```python\n# export_images.py\n(.*?)```', (root / 'docs/faq.md').read_text(), re.S)
    exec(script.replace('CIFAR10', 'MNIST'), {})
    assert np.unique(Image.open('data/cifar10_images/train/009/00000.png')).tolist() == [0]
    main(['init', 'my_run.py', '--dataset', 'cifar10.py'])
    capfd.readouterr()
    main(['distill', 'my_run.py', '--dry-run', '--cfg-options', 'custom_hooks.PrototypeHook.ipc=1'])
    assert 'Plan: 10 images from 10 real ones, 1 per class for 10 classes' in capfd.readouterr().out
    with pytest.raises(SystemExit, match='--dataset mmpretrain::.*: CIFAR10 stores its images in a few archives, .* '
                                         'use CustomDataset; docs/faq.md has a script'):
        main(['init', 'another.py', '--dataset', 'mmpretrain::_base_/datasets/cifar10_bs16.py'])


def draw(folder):
    """Six photos with masks of three classes in each split, and two photos of two flowers."""
    random = np.random.default_rng(0)
    for number in range(6):
        mask = np.zeros((48, 64), np.uint8)
        mask[20:], mask[30:40, 8 * number:8 * number + 10] = 1, 2
        for split in ('train', 'val', 'test'):
            for kind, image, suffix in (('images', random.integers(0, 255, (48, 64, 3)).astype(np.uint8), 'jpg'),
                                        ('masks', mask, 'png')):
                path = folder / f'data/mine/{kind}/{split}/{number}.{suffix}'
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image).save(path)
    for name in ('daisy', 'rose'):
        (folder / f'data/flowers/train/{name}').mkdir(parents=True)
        Image.new('RGB', (64, 48), 'red').save(folder / f'data/flowers/train/{name}/0.jpg')


@pytest.mark.parametrize('name, options, images', [
    ('my_run.py', ['custom_hooks.MaskSelectionHook.selector.budget=2'], 2), ('my_flowers.py', [], 20)])
def test_configs_for_user_data(pages, tmp_path, monkeypatch, capfd, name, options, images):
    draw(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text(pages[name])
    main(['distill', name, '--dry-run', '--work-dir', 'work', '--cfg-options', 'data_root=' + re.search(
        "data_root = '(.*)'", pages[name])[1], f'experiment_name={tmp_path.name}', *options])  # names its own log
    assert f'Plan: {images} images' in capfd.readouterr().out + (next((tmp_path / 'work').rglob('*.log'))).read_text()


def test_the_config_of_a_training_with_weights(root, tmp_path):
    """``_delete_`` leaves no setting of the base config in the dataset and the loss."""
    from mmengine.registry import DefaultScope

    from mmdistill.config import read_config
    from mmdistill.engine.training_checks import check_training
    text = re.search(r'```python\n# my_training.py\n(.*?)```', (root / 'docs/evaluation.md').read_text(), re.S)
    (tmp_path / 'my_training.py').write_text(text[1])
    cfg = read_config(str(tmp_path / 'my_training.py'))
    check_training(cfg, 'my_training.py')
    dataset = cfg.train_dataloader.dataset
    assert {*dataset} == {'type', 'data_root', 'weights', 'pipeline'} and dataset.pipeline == cfg.train_pipeline
    from mmpretrain.registry import MODELS
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        head = MODELS.build(cfg.model.head)
    assert type(head.loss_module).__name__ == 'WeightedLoss' and head.num_classes == 10


@pytest.mark.parametrize('name, size', [('my_generator.py', (384, 512)), ('my_decoder.py', (192, 192))])
def test_the_config_of_a_generator_of_ones_own_builds_its_datasets(pages, tmp_path, monkeypatch, name, size):
    import mmseg.registry
    from mmengine.config import Config

    import mmdistill.registry  # noqa: F401  'mmdistill::'
    draw(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text(pages[name])
    cfg = Config.fromfile(name)
    for loader, shape in ((cfg.train_dataloader, size), (cfg.val_dataloader, (384, 512))):
        dataset = mmseg.registry.DATASETS.build(loader.dataset)
        assert len(dataset) == 6 and dataset[0]['inputs'].shape == (3, *shape)
    assert cfg.train_dataloader.batch_size == 4 and dataset.metainfo['classes'] == ('sky', 'road', 'car')
    if name == 'my_generator.py':
        assert cfg.model.unet.num_classes == len(dataset.metainfo['classes'])


def test_the_comparison_of_own_classes(pages, tmp_path):
    from mmdistill.config import read_config
    from mmdistill.evaluation.comparison import check_comparison
    (tmp_path / 'c.py').write_text(pages['my_flowers_comparison.py'])
    comparison = check_comparison(read_config(str(tmp_path / 'c.py')))
    assert [*comparison.training_sets] == ['random_real', 'herding_real', 'distilled'] and comparison.ipc == 10


@pytest.fixture
def own(pages, tmp_path, monkeypatch):
    """A folder with the data and the configs of the comparison of user data."""
    draw(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in ('my_run.py', 'my_guide.py', 'my_guided.py', 'my_comparison.py'):
        (tmp_path / name).write_text(pages[name])
    return tmp_path


def test_the_guide_for_user_data_builds_and_guides(own, capfd):
    import mmseg.registry
    from mmengine.registry import DefaultScope
    from safetensors.torch import save_file

    from mmdistill.config import read_config
    from mmdistill.engine.training_checks import check_training
    cfg = read_config('my_guide.py')
    check_training(cfg, 'my_guide.py')
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        dataset = mmseg.registry.DATASETS.build(loader.dataset)
        assert len(dataset) == 6 and dataset[0]['inputs'].shape == (3, 192, 256)
    assert cfg.model.decode_head.num_classes == len(dataset.metainfo['classes'])
    assert cfg.param_scheduler[-1].end == cfg.train_cfg.max_iters and 'ExportHook' in cfg.custom_hooks[-1].type
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = mmseg.registry.MODELS.build(cfg.model)
    (own / 'work_dirs/my_guide/export').mkdir(parents=True)
    save_file(model.state_dict(), own / 'work_dirs/my_guide/export/model.safetensors')
    main(['distill', 'my_guided.py', '--dry-run', '--cfg-options', 'custom_hooks.MaskSelectionHook.selector.budget=2'])
    log = next((own / 'work_dirs/my_guided').rglob('*.log')).read_text()
    assert 'Plan: 2 images' in log and 'SegmentationConsistency' in log


def test_the_comparison_for_user_data_builds(own):
    from mmdistill.config import read_config
    from mmdistill.datasets import DatasetMasks, SegWriter, write_manifest
    from mmdistill.evaluation import ComparisonRunner
    from mmdistill.evaluation.building import build_dataset
    from mmdistill.plan import Plan, Request
    cfg = read_config('my_comparison.py')
    cfg.budget = 2
    cfg.overrides['model.backbone.pretrained'] = False  # the weights are those of an extra
    dataset = build_dataset(cfg.train_dataset, 'mmseg')
    requests = tuple(Request(str(number), number) for number in range(2))
    for name in ('my_run', 'my_guided'):
        writer = SegWriter(own / f'work_dirs/{name}/distilled', 'source', dataset)
        for request in requests:
            writer.write(request.id, *DatasetMasks(dataset).pair(request.seed, (48, 64)))
        write_manifest(writer.root, Plan(name, '', 0, ('sky', 'road', 'car'), (), 6, requests), writer.layout, {})
    runner = ComparisonRunner(cfg, own / 'work_dirs/my_comparison')
    jobs = runner.jobs()
    assert [job.set for job in jobs] == ['random_real', 'greedy_real', 'unguided', 'distilled'] * 3
    assert {job.images for job in jobs} == {2}
    for job in jobs[:1]:
        student = job.arguments['student_cfg']
        assert student.model.decode_head.num_classes == 3
        for loader in (student.train_dataloader, student.test_dataloader):
            assert [step['scale'] for step in loader.dataset.pipeline if step['type'] == 'Resize'] == [(512, 384)]
