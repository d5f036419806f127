"""Resources that a run provides to objectives."""
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

from mmdistill.errors import DistillError
from mmdistill.plan import Request


_NO_RESOURCES = ('check', 'check_classes', 'describe', 'fingerprint', 'give', 'real_images')


class Resources:
    """Resources that objectives can declare in ``needs``; they are computed on first use.

    Every public method is a resource. An objective with ``needs = dict(statistics=('min_area', ))`` is built with
    ``statistics=resources.statistics(min_area=...)``; ``min_area`` is then removed from the objective's settings.
    Tasks add methods in subclasses, whose keyword arguments are set in the config of :class:`GuidedSynthesisHook`.

    Args:
        run: The distillation run, a :class:`~mmdistill.engine.loop.DistillLoop`.
    """

    def __init__(self, run: Any) -> None:
        self.run = run

    def requests(self) -> Tuple[Request, ...]:
        """All requests of the plan, including finished ones."""
        return self.run.plan.requests

    def classes(self) -> Tuple[str, ...]:
        """Class names of the real dataset."""
        return self.run.source.classes

    def generator(self) -> Any:
        """The generator of the run."""
        return self.run.generator

    def fingerprint(self) -> Optional[str]:
        """Hash of the networks from which the resources are computed; None without networks."""
        return None

    def describe(self) -> Dict[str, Any]:
        """Settings of the resources, as JSON values for the manifest."""
        return {}

    @classmethod
    def check(cls, settings: Mapping[str, Any], needs: Mapping[str, Sequence[str]], where: str) -> None:
        """Raise a DistillError, before anything is built, if objectives need resources that are not available.

        Args:
            settings: Keyword arguments of the constructor.
            needs: Name of each objective → the resources that it declares.
            where: Key of the settings in the config.
        """
        known = [name for name in dir(cls) if not name.startswith('_') and name not in _NO_RESOURCES]
        for objective, names in needs.items():
            if absent := [name for name in names if name not in known]:
                raise DistillError(f'{where}: {objective} needs {absent[0]}, which this task does not have; it has '
                                   f'{", ".join(known)}')

    @classmethod
    def check_classes(cls, settings: Mapping[str, Any], classes: Sequence[str], where: str) -> None:
        """Raise a DistillError, before anything is built, if a network was trained on other classes than the dataset's.

        Args:
            settings: Keyword arguments of the constructor. Classes are checked if the network's config or files
                contain them.
            classes: Class names of the dataset.
            where: Key of the settings in the config.
        """

    @classmethod
    def real_images(cls, settings: Mapping[str, Any], needs: Sequence[str], run: Any) -> Dict[str, int]:
        """Number of real images to process for the needed resources, for cost estimates.

        Args:
            settings: Keyword arguments of the constructor.
            needs: Names of the resources.
            run: See :class:`Resources`.

        Returns:
            dict: ``encoded``, images to encode with the autoencoder, and ``measured``, images for the segmentor.
        """
        return {}

    def give(self, objective: Any, settings: Mapping[str, Any]) -> Dict[str, Any]:
        """Constructor arguments of an objective: its settings and its resources.

        Args:
            objective: The class. Its ``needs`` are names of resources, or a dict from names to the settings that are
                passed to the resource instead of the objective.
            settings: Settings in the config.
        """
        needs, settings = declared_needs(objective), dict(settings)
        taken = {key: settings.pop(key) for keys in needs.values() for key in keys if key in settings}
        for name, keys in needs.items():
            settings[name] = getattr(self, name)(**{key: taken[key] for key in keys if key in taken})
        return settings


def declared_needs(component: Any) -> Dict[str, Tuple[str, ...]]:
    """The ``needs`` of a class as a dict: name of the resource → settings that are passed to it."""
    needs = getattr(component, 'needs', ())
    return dict(needs) if isinstance(needs, Mapping) else dict.fromkeys(needs, ())
