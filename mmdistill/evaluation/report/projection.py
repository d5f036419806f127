"""Two-dimensional projections of the features of the real and the training sets."""
from typing import Dict, List, Mapping, Sequence, Tuple

import numpy as np

from .charts import set_look
from .svg import COLOURS, Chart

# Perplexity of t-SNE, and the number of points below which PCA is used, since t-SNE of few points is unstable.
_PERPLEXITY, _FEW = 30, 120
_SHOWN, _NAMED_CLASSES = 1000, 20


def project(features: Mapping[str, np.ndarray]) -> Tuple[Dict[str, np.ndarray], str]:
    """Project the features of all sets together.

    Args:
        features: Name of the set → features (n, D). At most 1 000 rows of a set (:func:`shown_rows`) are used.

    Returns:
        The projections (n, 2) by name, and a sentence that describes the method.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    thinned = {name: values[shown_rows(len(values))] for name, values in features.items()}
    points = np.concatenate(list(thinned.values())).astype(np.float64)
    few = len(points) < _FEW
    kept = min(2 if few else 50, *points.shape)
    reduced = PCA(kept, random_state=0).fit_transform(points)
    if few or kept < 2:
        how = 'The first two principal components of all features together.'
        reduced = np.pad(reduced, ((0, 0), (0, 2 - kept)))
    else:
        how = (f'All features together by t-SNE (after PCA to {kept} dimensions; perplexity {_PERPLEXITY}, seed 0): '
               'neighbourhoods are meaningful, distances between groups are not.')
        reduced = TSNE(perplexity=_PERPLEXITY, init='pca', random_state=0).fit_transform(reduced)
    if any(len(thinned[name]) < len(features[name]) for name in features):
        how += f' From a set with more images, {_SHOWN:,} are drawn at random.'
    ends = np.cumsum([len(values) for values in thinned.values()])[:-1]
    return dict(zip(thinned, np.split(reduced, ends))), how


def shown_rows(count: int) -> np.ndarray:
    """Indices of the rows to show, ascending: all of ``count``, or 1 000 drawn with a fixed seed."""
    # Every n-th row would miss classes if the rows cycle through the classes.
    return np.sort(np.random.default_rng(0).choice(count, min(count, _SHOWN), replace=False))


def projection_panels(features: Mapping[str, np.ndarray], colours: Mapping[str, str],
                      classes: Sequence[str]) -> Tuple[List[Tuple[str, Chart]], str]:
    """Scatter plots of the features of each set over the real ones in grey.

    If there are few classes, their names are written at the medians of their real samples.

    Returns:
        (name, chart) pairs, and a sentence that describes the projection.
    """
    names = [name for name in colours if name in features and len(features[name])]
    flat, how = project({name: features[name] for name in ('real', *names)})
    real, labels, middles = flat['real'], features.get('labels/real'), {}
    if labels is not None and len(labels) == len(features['real']) and len(classes) <= _NAMED_CLASSES:
        labels = labels[shown_rows(len(labels))]
        middles = {name: np.median(real[labels == i], axis=0) for i, name in enumerate(classes) if (labels == i).any()}
    everything = np.concatenate(list(flat.values()))
    low, high = everything.min(axis=0), everything.max(axis=0)
    margin = 0.05 * np.maximum(high - low, 1e-9)
    low, high = low - margin, high + margin
    panels = []
    for name in names:
        colour, marker = set_look(colours[name])
        with (chart := Chart(300, 290, f'Features of {name} among the real ones')) as axes:
            axes.plot(*real.T, 'o', color=COLOURS['real'], markersize=2.6, markeredgewidth=0, alpha=0.5)
            axes.plot(*flat[name].T, marker, color=colour, markersize=5.5, markeredgewidth=0, alpha=0.9)
            for text, place in middles.items():
                share = (place[0] - low[0]) / (high[0] - low[0])
                side = 'left' if share < 0.2 else 'right' if share > 0.8 else 'center'
                axes.text(*place, text, color=COLOURS['ink'], fontsize=10, ha=side, va='center')
            axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xticks=[], yticks=[])
            axes.spines[['top', 'right']].set_visible(True)
        panels.append((name, chart))
    return panels, how
