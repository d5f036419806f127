"""What objectives are given by a run."""
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

from mmdistill.errors import DistillError
from mmdistill.plan import Request


_NO_RESOURCES = ('check', 'check_classes', 'describe', 'fingerprint', 'give', 'real_images')


class Resources:
    """What objectives can declare in ``needs``, made when the first of them asks.

    A public method is a resource: an objective with ``needs = dict(statistics=('min_area', ))`` is built with
    ``statistics=resources.statistics(min_area=...)``, where ``min_area`` is taken out of its own settings. A task adds
    methods; their settings in the config of :class:`GuidedSynthesisHook` are the keyword arguments of ``__init__``.
    The ``run`` is a :class:`~mmdistill.engine.loop.DistillLoop`.
    """

    def __init__(self, run: Any) -> None:
        self.run = run

    def requests(self) -> Tuple[Request, ...]:
        """All requests of the plan, whatever is left to make."""
        return self.run.plan.requests

    def classes(self) -> Tuple[str, ...]:
        """Names of the classes."""
        return self.run.source.classes

    def generator(self) -> Any:
        """The generator of the run."""
        return self.run.generator

    def fingerprint(self) -> Optional[str]:
        """Of the networks that they are made from; None where there is none."""
        return None

    def describe(self) -> Dict[str, Any]:
        """Settings of the resources, as JSON values for the manifest."""
        return {}

    @classmethod
    def check(cls, settings: Mapping[str, Any], needs: Mapping[str, Sequence[str]], where: str) -> None:
        """Raise a DistillError, before anything is built, where objectives will not get what they need.

        Args:
            settings: Keyword arguments of the constructor, at key ``where`` of the config.
            needs: Name of each objective → the resources that it declares.
        """
        known = [name for name in dir(cls) if not name.startswith('_') and name not in _NO_RESOURCES]
        for objective, names in needs.items():
            if absent := [name for name in names if name not in known]:
                raise DistillError(f'{where}: {objective} needs {absent[0]}, which this task does not have; it has '
                                   f'{", ".join(known)}')

    @classmethod
    def check_classes(cls, settings: Mapping[str, Any], classes: Sequence[str], where: str) -> None:
        """Raise a DistillError, before anything is built, where a network of the ``settings``, at key ``where`` of the
        config, was trained on other classes than the dataset's, as far as its config and files say."""

    @classmethod
    def real_images(cls, settings: Mapping[str, Any], needs: Sequence[str], run: Any) -> Dict[str, int]:
        """How many real images the resources that are needed read, for estimates of cost: those that the autoencoder
        encodes, ``'encoded'``, and those that the segmentor sees, ``'measured'``.

        Args:
            settings: Keyword arguments of the constructor.
            needs: Names of resources.
            run: See :class:`Resources`.
        """
        return {}

    def give(self, objective: Any, settings: Mapping[str, Any]) -> Dict[str, Any]:
        """The ``settings`` of an objective's config together with the resources that its class declares in ``needs``:
        their names, or a dict of them to the settings that go to the resource instead of the objective."""
        needs, settings = declared_needs(objective), dict(settings)
        taken = {key: settings.pop(key) for keys in needs.values() for key in keys if key in settings}
        for name, keys in needs.items():
            settings[name] = getattr(self, name)(**{key: taken[key] for key in keys if key in taken})
        return settings


def declared_needs(component: Any) -> Dict[str, Tuple[str, ...]]:
    """The ``needs`` of a class, as a dict of resources to the settings that they take."""
    needs = getattr(component, 'needs', ())
    return dict(needs) if isinstance(needs, Mapping) else dict.fromkeys(needs, ())
