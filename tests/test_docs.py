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
    text = ''.join((root / f'docs/{page}.md').read_text() for page in ('your_data', 'generators'))
    return dict(re.findall(r'```python\n# (\w+\.py)\n(.*?)```', text, re.S))


def draw(folder):
    """Six photos with masks of three classes, and two photos of two flowers."""
    random = np.random.default_rng(0)
    for number in range(6):
        mask = np.zeros((48, 64), np.uint8)
        mask[20:], mask[30:40, 8 * number:8 * number + 10] = 1, 2
        for split in ('train', 'val'):
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
        "data_root = '(.*)'", pages[name])[1], *options])
    assert f'Plan: {images} images' in capfd.readouterr().out + (next((tmp_path / 'work').rglob('*.log'))).read_text()


def test_the_config_of_a_training_with_weights(root, tmp_path):
    """``_delete_`` leaves no setting of the base config in the dataset and the loss."""
    from mmengine.registry import DefaultScope

    from mmdistill.config import read_config
    from mmdistill.engine.training import check_training
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


def test_the_config_of_a_generator_of_ones_own_builds_its_datasets(pages, tmp_path, monkeypatch):
    import mmseg.registry
    from mmengine.config import Config

    import mmdistill.registry  # noqa: F401  'mmdistill::'
    draw(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'my_generator.py').write_text(pages['my_generator.py'])
    cfg = Config.fromfile('my_generator.py')
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        dataset = mmseg.registry.DATASETS.build(loader.dataset)
        assert len(dataset) == 6 and dataset[0]['inputs'].shape == (3, 192, 256)
    assert cfg.model.unet.num_classes == len(dataset.metainfo['classes']) and cfg.train_dataloader.batch_size == 8
