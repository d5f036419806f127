"""Checks that a dataset's classes (number, names, order) are those on which weights were trained."""
import re
from typing import Any, FrozenSet, Mapping, NamedTuple, Optional, Sequence, Tuple

from .errors import DistillError
from .imagenet import imagenet_ids


class KnownClasses(NamedTuple):
    """The classes on which weights were trained."""
    number: int
    names: Optional[Tuple[str, ...]] = None  # in the order of the ids; None if unknown

    @classmethod
    def of(cls, number: int, names: Any) -> 'KnownClasses':
        """The classes from a config or a checkpoint; names are ignored unless there is one per class."""
        if isinstance(names, Mapping) and len(names) >= number:  # diffusers' and transformers' id2label
            names = [names.get(str(label), names.get(label)) for label in range(number)]
        if not isinstance(names, (list, tuple)) or len(names) != number or None in names:
            return cls(number)
        names = tuple(map(str, names))
        return cls(number, None if all(re.fullmatch(r'LABEL_\d+', name) for name in names) else names)

    def check(self, classes: Sequence[Any], who: str, hint: str) -> None:
        """Raise a DistillError unless a dataset has these classes in this order.

        Args:
            classes: Class names of the dataset, in the order of the ids.
            who: Name of the network in messages.
            hint: Advice for messages.
        """
        if len(classes) != self.number:
            raise DistillError(f'{who} {_have(who)} {self.number} classes, the dataset {len(classes)}: {hint}')
        trained = self._comparable(classes)
        for label, (name, known) in enumerate(zip(map(str, classes), trained)):
            if not _words(name) & _words(known):
                permuted = sorted(map(str, classes)) == sorted(trained)
                what = "the dataset's classes in another order" if permuted else 'other classes than the dataset'
                raise DistillError(f"{who} {_have(who)} {what}: class {label} is {known!r} there, {name!r} in the "
                                   f'dataset: {hint}')

    def ids_of(self, classes: Optional[Sequence[Any]], ids: Optional[Sequence[int]], where: str) -> Sequence[int]:
        """The id of each class of the dataset in the weights.

        Args:
            classes: Class names of the dataset; None: assumed to equal the classes of the weights.
            ids: The ids, if they differ from the dataset's.
            where: Key of the component with ``class_ids`` in the config, for messages.

        Raises:
            DistillError: See :meth:`check` and :meth:`check_ids`.
        """
        if ids is None:
            if classes is not None:
                self.check(classes, f'{where}: the weights',
                           "give weights of these classes, or set class_ids to the weights' id of each class")
            return range(self.number)
        self.check_ids(classes or (), ids, f'{where}.class_ids')
        return list(ids)

    def check_ids(self, classes: Sequence[Any], ids: Sequence[int], where: str) -> None:
        """Raise a DistillError if an id is out of range, or belongs to another class although the name is known.

        Args:
            classes: Class names of the dataset.
            ids: The id of each class in the weights.
            where: Key of the ids in the config, for messages.
        """
        if wrong := [label for label in ids if label >= self.number]:
            raise DistillError(f'{where} has {wrong[0]}, but the weights have classes 0..{self.number - 1}')
        trained = self._comparable(classes)
        for name, label in zip(map(str, classes), ids if trained else ()):
            words = _words(name)
            if words & _words(trained[label]):
                continue
            if found := [other for other, known in enumerate(trained) if words & _words(known)]:
                raise DistillError(f'{where} gives {name!r} the id {label} of the weights, which is '
                                   f"{trained[label]!r}; the weights' id of {name!r} is {found[0]}: correct it")

    def _comparable(self, classes: Sequence[Any]) -> Sequence[str]:
        """The names to compare; empty if only the names on one side are WordNet ids."""
        names = self.names or ()
        return () if (imagenet_ids(names) is None) != (imagenet_ids([*map(str, classes)]) is None) else names


def check_number(classes: Optional[Sequence[Any]], ids: Optional[Sequence[int]], where: str) -> None:
    """Raise a DistillError unless there is one of the ``class_ids`` per class."""
    if classes is not None and ids is not None and len(ids) != len(classes):
        raise DistillError(f'{where}: {len(ids)} class_ids for the {len(classes)} classes of the dataset: give one per '
                           'class')


def _have(who: str) -> str:
    return 'have' if who.endswith('weights') else 'has'


def _words(name: str) -> FrozenSet[str]:
    """The normalised names of a class, without case and punctuation; ImageNet's lists separate synonyms by commas."""
    parts = [' '.join(re.findall(r'[^\W_]+', part)) for part in name.casefold().split(',')]
    return frozenset(part for part in parts if part) or frozenset([name.strip()])
