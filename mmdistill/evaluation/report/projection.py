"""Features of the real and of the training sets in two dimensions."""
from typing import Dict, List, Mapping, Sequence, Tuple

import numpy as np

from .charts import set_look
from .svg import COLOURS, Chart

# Neighbours of t-SNE; where there are few points it shows chance, and the first two principal components do not.
_PERPLEXITY, _FEW = 30, 120
_SHOWN, _NAMED_CLASSES = 1000, 20


def project(features: Mapping[str, np.ndarray]) -> Tuple[Dict[str, np.ndarray], str]:
    """The features (n, D) of all sets together in two dimensions, and a sentence on how.

    Of a large set 1 000 rows (:func:`shown_rows`) are taken.
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
               'who is near whom can be read from it, distances between groups cannot.')
        reduced = TSNE(perplexity=_PERPLEXITY, init='pca', random_state=0).fit_transform(reduced)
    if any(len(thinned[name]) < len(features[name]) for name in features):
        how += f' Of a set with more than {_SHOWN:,} images, as many are drawn at random.'
    ends = np.cumsum([len(values) for values in thinned.values()])[:-1]
    return dict(zip(thinned, np.split(reduced, ends))), how


def shown_rows(count: int) -> np.ndarray:
    """Which of ``count`` rows are shown, ascending: all, or 1 000 drawn with a fixed seed."""
    # Every n-th would leave out classes where the rows go through them in turn.
    return np.sort(np.random.default_rng(0).choice(count, min(count, _SHOWN), replace=False))


def projection_panels(features: Mapping[str, np.ndarray], colours: Mapping[str, str],
                      classes: Sequence[str]) -> Tuple[List[Tuple[str, Chart]], str]:
    """One panel per set with features, over the real one in grey, as (name, chart), and a sentence on how.

    The names of the classes are written at the middle of their real samples where there are few.
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
