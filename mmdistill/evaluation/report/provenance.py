"""Provenance of the results and images, and the commands that reproduce them."""
import json
import shlex
from typing import Any, Dict, List, Mapping, Tuple

from .work_dirs import DistilledSet, WorkDir

_WEIGHTED_LOSS = '\n'.join((
    '', "# The loss inside WeightedLoss is the one of your config's head.",
    "model = dict(head=dict(cal_acc=False, loss=dict(_delete_=True, type='mmdistill.WeightedLoss',",
    "    loss=dict(type='CrossEntropyLoss'))))"))


def comparison(work: WorkDir) -> Dict[str, str]:
    """Protocol and cost of the comparison; empty without results."""
    if not work.results:
        return {}
    values = {'protocol': work.results['protocol'], 'hash of protocol and test set': work.results['hash'],
              'runs': f'{len(work.runs)}, {_duration(sum(run["seconds"] for run in work.runs))} of training in all'}
    if work.metrics.get('encoder'):
        settings = _flat(json.loads(work.metrics['encoder']))
        values['encoder of the features'] = ', '.join(f'{key} {value}' for key, value in settings.items())
    return values


def origin(distilled: DistilledSet) -> Tuple[Dict[str, str], Dict[str, Dict[str, str]]]:
    """How a set was made, from its manifest: the main values, and the details by title."""
    manifest = distilled.manifest
    made_by = dict(manifest.get('weights', {}))
    parts = {'Weights': _flat(made_by.pop('weights', {})), 'Scheduler': _flat(made_by.pop('scheduler', {})),
             'Versions': manifest.get('libraries', {})}
    extra = dict(manifest.get('extra', {}))
    cleaning = dict(extra.pop('cleaning', {}))
    for name, one in cleaning.pop('ignored', {}).items():
        shares = {'all labelled pixels': one['share'], **one['classes']}
        parts[f'Ignored by {name}'] = {key: f'{value:.2%}' for key, value in shares.items() if value is not None}
    main = {name.replace('_', ' '): manifest[name] for name in ('method', 'config_hash', 'seed') if name in manifest}
    return {**main, 'images': f'{len(manifest["images"]):,} instead of {manifest["source_size"]:,}',
            'folder': str(distilled.root), 'layout': manifest['layout']['name'],
            **_flat(manifest.get('provenance', {})), **_flat(made_by, 'generator'),
            **_flat(extra), **_flat(cleaning, 'cleaning')}, parts


def reproduction_commands(work: WorkDir) -> List[Tuple[str, str]]:
    """(Title, command) pairs that reproduce the sets and the results."""
    command = work.results.get('command')
    found = [('The comparison', command)] if command else []
    for name, distilled in work.distilled.items():
        configs = sorted(distilled.root.parent.glob('*.py'))
        if len(configs) == 1:
            found.append((f'Make {name} again', shlex.join(
                ['mmdistill', 'distill', str(configs[0]), '--work-dir', f'work_dirs/{name}_again'])))
    return found


def training_configs(work: WorkDir) -> List[Tuple[str, str]]:
    """(Title, config) pairs for training on the sets, with the weights of the images where the comparison used them."""
    return [(f'Train on {name}{", with the weights of its images," * weighted} in any {work.task.scope} config',
             "train_dataloader = dict(dataset=dict(_delete_=True, type='mmdistill.DistilledDataset',\n"
             f'    data_root={str(work.distilled[name].root)!r}, {"weights=True, " * weighted}pipeline=train_pipeline))'
             + _WEIGHTED_LOSS * weighted) for name, weighted in work.weighted.items()]


def _flat(values: Any, prefix: str = '') -> Dict[str, str]:
    """Flatten nested mappings, joining the keys; a value that is not a mapping gets the key ``prefix · is``."""
    flat: Dict[str, str] = {}
    for key, value in values.items() if isinstance(values, Mapping) else [('is', values)]:
        name = f'{prefix} · {key}' if prefix else str(key)
        if isinstance(value, Mapping) and value:
            flat.update(_flat(value, name))
        elif value not in (None, {}, []):
            flat[name] = value if isinstance(value, str) else json.dumps(value)
    return flat


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f'{seconds:.0f} s' if seconds < 120 else f'{minutes} min' if minutes < 120 else f'{minutes / 60:.1f} h'
