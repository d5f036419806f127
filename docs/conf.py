"""The site: `make docs` builds it from the pages and notebooks of this folder and the docstrings of the package."""
import json
import re
from importlib import import_module
from pathlib import Path

from myst_parser.parsers.sphinx_ import MystParser

import mmdistill
from mmdistill import settings

DOCS = Path(__file__).resolve().parent

project = 'mmdistill'
author = 'The mmdistill contributors'
copyright = author
release = version = mmdistill.__version__

extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.napoleon', 'sphinx.ext.mathjax']
html_theme = 'furo'
html_title = f'mmdistill {version}'
html_show_sourcelink = False
myst_heading_anchors = 4  # the anchors that GitHub makes, too
myst_enable_extensions = ['dollarmath']
autodoc_member_order = 'bysource'
autodoc_typehints = 'description'
autodoc_typehints_description_target = 'documented'
# set_…_request are scikit-learn's, on selectors.
autodoc_default_options = {
    'members': True, 'exclude-members': 'set_fit_request, set_partial_fit_request, set_score_request'}
napoleon_use_ivar = True
suppress_warnings = ['misc.highlighting_failure']  # Python with an ellipsis in it

# Packages export names that are imported when they are first asked for; autodoc looks only at what is there.
for name in ('datasets', 'engine', 'models', 'evaluation', 'labels'):
    package = import_module(f'mmdistill.{name}')
    for member in package.__all__:
        setattr(package, member, getattr(package, member))


class NotebookParser(MystParser):
    """Shows a Jupyter notebook: its text, its code, and the lines and pictures that it was saved with."""
    supported = ('notebook', )

    def parse(self, inputstring: str, document) -> None:
        parts = []
        for cell in json.loads(inputstring)['cells']:
            text = ''.join(cell['source'])
            parts.append(text if cell['cell_type'] == 'markdown' else f'```python\n{text}\n```')
            for output in cell.get('outputs', ()):
                if picture := output.get('data', {}).get('image/png'):
                    parts.append(f'![](data:image/png;base64,{picture.strip()})')
                elif lines := output.get('text'):
                    parts.append(f'```text\n{"".join(lines).rstrip()}\n```')
        super().parse('\n\n'.join(parts), document)


def drop_links_to_folders(app, name: str, source: list) -> None:
    """A link to a folder outside the docs, such as ../configs/d4m, has no page on the site: its text remains."""
    def replace(match: re.Match) -> str:
        target = (DOCS / name).parent / match[2].partition('#')[0]
        return match[1] if target.is_dir() else match[0]

    source[0] = re.sub(r'\[([^\]\n]+)\]\((\.\.?/[^)\s]+)\)', replace, source[0])


def find_where_exported(app, env, node, content):
    """Docstrings name the module that defines a class; the site shows it in the package that exports it."""
    parts = node.get('reftarget', '').split('.')
    if node.get('refdomain') != 'py' or parts[0] != 'mmdistill' or len(parts) < 4:
        return None
    domain = env.get_domain('py')
    for end in (-1, -2):  # a class, a method of one
        target = '.'.join([*parts[:2], *parts[end:]])
        if target in domain.objects:
            return domain.resolve_xref(env, node['refdoc'], app.builder, node['reftype'], target, node, content)
    return None


def ranges() -> dict:
    """What autodoc writes for the annotated types of mmdistill.settings → their names."""
    types = {}
    for name in ('PositiveInt', 'NonNegativeInt', 'Positive', 'NonNegative', 'Share'):
        annotation = getattr(settings, name)
        known = annotation.__metadata__[0]
        text = f'low={known.low}, high={known.high}, above={known.above}, below={known.below}'
        types[f'Annotated[{annotation.__origin__.__name__}, Range({text})]'] = name
    return types


def shorten_types(app, domain: str, kind: str, node, known=ranges()) -> None:  # noqa: B008
    """Write ``PositiveInt`` instead of ``Annotated[int, Range(low=1, ...)]``."""
    for types in app.env.current_document.autodoc_annotations.values():
        for argument, text in types.items():
            text = re.sub(r'~?typing\.Annotated|~?mmdistill\.settings\.Range', lambda m: m[0].split('.')[-1], text)
            for long, short in known.items():
                text = text.replace(long, short)
            types[argument] = text


def setup(app) -> None:
    app.add_source_suffix('.ipynb', 'notebook')
    app.add_source_parser(NotebookParser)
    app.connect('object-description-transform', shorten_types, priority=400)  # before autodoc's, 500
    app.connect('source-read', drop_links_to_folders)
    app.connect('missing-reference', find_where_exported)
