"""Matplotlib charts as inline SVG, with the page's font and its colours for light and dark mode."""
import io
import re
from typing import Any

SERIES = 8
MARKERS = 'os^DvPX*'  # one marker for each colour of a training set
# Placeholders for colours of the page's style sheet; charts use no other colours. None of them is black, because
# matplotlib omits black in SVG.
COLOURS = dict(ink='#010101', soft='#020202', line='#030303', real='#040404', faint='#050505',
               **{f's{i}': f'#00ff{i:02x}' for i in range(SERIES)})
_VARIABLES = {value: f'var(--{name})' for name, value in COLOURS.items()}
_STYLE: Any = {
    'svg.fonttype': 'none', 'svg.hashsalt': 'mmdistill', 'text.parse_math': False, 'font.size': 11,
    'text.color': COLOURS['ink'], 'axes.labelcolor': COLOURS['soft'], 'axes.edgecolor': COLOURS['faint'],
    'xtick.color': COLOURS['soft'], 'ytick.color': COLOURS['soft'], 'grid.color': COLOURS['line'],
    'axes.spines.top': False, 'axes.spines.right': False, 'axes.axisbelow': True, 'axes.labelsize': 11,
    'xtick.labelsize': 10.5, 'ytick.labelsize': 10.5}


class Chart:
    """A chart: draw it inside ``with Chart(...) as axes``, then insert :meth:`body` in the page.

    Args:
        width, height: Size in CSS pixels; the chart shrinks if there is less space.
        label: Description for screen readers.
    """

    def __init__(self, width: int, height: int, label: str) -> None:
        from matplotlib import rc_context
        self.width, self.height, self.label = width, height, label
        self._context = rc_context(_STYLE)

    def __enter__(self) -> Any:
        from matplotlib.figure import Figure
        self._context.__enter__()
        # One unit of the SVG is 1/72 inch.
        self._figure = Figure((self.width / 72, self.height / 72), layout='constrained')
        return self._figure.subplots()

    def __exit__(self, *error: Any) -> None:
        if error[0] is None:
            buffer = io.StringIO()
            self._figure.savefig(buffer, format='svg', transparent=True, metadata=dict(Date=None))
            text = buffer.getvalue()
            self._body = re.sub('<[^>]*>', _inline, text[text.index('<g id='):text.rindex('</svg>')])
        self._context.__exit__(*error)

    def body(self, number: int) -> str:
        """The content of the ``<svg>`` element, with ids made unique by the chart's number on the page."""
        return re.sub(r'<[^>]*>', lambda tag: re.sub('(id="|="#|url\\(#)', rf'\g<1>c{number}', tag[0]), self._body)


def _inline(found: 're.Match[str]') -> str:
    """Adapt a tag to the page: use the page's colours, round to two decimals, and remove the ids of groups."""
    tag = re.sub('<g id="[^"]*"', '<g', found[0].replace('xlink:', ''))
    tag = re.sub(r'(\.\d\d)\d+', r'\1', tag)
    return re.sub('#[0-9a-f]{6}(?=[;"])', lambda colour: _VARIABLES.get(colour[0], colour[0]), tag)
