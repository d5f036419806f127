"""Writes docs/configs.md from the configs' metafiles and mmdistill/weights/public.py: ``python docs/tables.py``."""
from pathlib import Path
from typing import List

import yaml

from mmdistill.weights.public import FREESTYLENET, PUBLIC_WEIGHTS, public_weights

ROOT = Path(__file__).resolve().parents[1]
HEAD = """# Configs

<!-- Made by `python docs/tables.py`. Edit configs/*/metafile.yml or mmdistill/weights/public.py instead. -->

Each distillation config with its data, its weights and their licences. In any folder, the name of a config is enough:
`mmdistill distill d4m_objects-64px`. `pixels` is the size of the generated images; D4M with Stable Diffusion saves
its images at 224x224. `results` are those of students trained on the distilled set, mean and standard deviation, from
the README and the pages of results. A config without results has not been measured.
"""


def metafiles() -> List[dict]:
    """The metafiles, in the order of model-index.yml."""
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    return [yaml.safe_load((ROOT / name).read_text()) for name in index['Import']]


def page() -> str:
    """The text of docs/configs.md."""
    files = metafiles()
    models = [model for file in files for model in file['Models']]
    parts = [HEAD]
    for collection in (collection for file in files for collection in file['Collections']):
        name, paper = collection['Name'], collection.get('Paper', '')
        parts.append(f'## {name}\n{_sentence(collection["Metadata"]["Architecture"])} {_paper(paper)}\n\n'
                     '| config | data | images | pixels | weights | licence | results |\n|---|---|---|---|---|---|---|')
        parts += [_row(model) for model in models if model['In Collection'] == name]
        parts.append('')
    parts.append('## Weights\nThe first run downloads them, except FreestyleNet; [weights](weights.md) lists the '
                 'alternatives. Sizes are those of the files that are read.\n\n'
                 '| weights | address | size | licence |\n|---|---|---|---|')
    parts += [f'| {known.name} | `{known.address}` | {known.size} | {known.licence} |' for known in PUBLIC_WEIGHTS]
    return '\n'.join(parts) + '\n'


def _sentence(parts: List[str]) -> str:
    return '; '.join([parts[0], *(part[0].lower() + part[1:] for part in parts[1:])]) + '.'


def _paper(paper: str) -> str:
    number = paper.rpartition('/')[2]
    return f'[arXiv {number}]({paper}).' if paper.startswith('https://arxiv.org/') else f'{paper}.' if paper else ''


def _row(model: dict) -> str:
    about, config = model['Metadata'], model['Config']
    weights = [_weights(address, about) for address in model['Weights']]
    licences = list(dict.fromkeys(about['License']))  # without repetitions
    cells = [f'[`{model["Name"]}`](../{config})', about['Training Data'], str(about['Images']), about['Image Size'],
             ' + '.join(weights), '; '.join(licences), _results(model)]
    return f'| {" | ".join(cells)} |'


def _weights(address: str, about: dict) -> str:
    if known := public_weights(address):
        return known.name
    if address.startswith('mmdistill://'):
        return 'built-in'
    made = about.get('Trained By')
    return f'trained first by [`{Path(made).stem}`](../{made})' if made else f'{FREESTYLENET.name}, converted first'


def _results(model: dict) -> str:
    found = [f'{name} {value} ± {result["Metrics"][f"{name} std"]}' for result in model.get('Results', ())
             for name, value in result['Metrics'].items() if not name.endswith(' std')]
    return ', '.join(found)


if __name__ == '__main__':
    (ROOT / 'docs/configs.md').write_text(page())
