"""Reads the options ``--cfg-options KEY=VALUE``."""
import argparse
import ast
import re
from typing import Any, Dict, Sequence

from mmengine.config import DictAction

from .errors import DistillError

_DICT = re.compile(r'''dict\(.*\)|\{\s*['"\w.]+\s*:.*\}''', re.S)


def read_options(texts: Sequence[str]) -> Dict[str, Any]:
    """Read options as MMEngine's ``DictAction`` does, with two differences: a value may be a Python dict or a list
    with dicts, and spaces in texts are kept.

    Args:
        texts: ``'KEY=VALUE'`` each, with a dotted key.

    Raises:
        DistillError: The brackets of a value are not balanced, or a value looks like a dict but is not one.

    Example:
        >>> read_options(['model.depth=18', "overrides=dict(train_cfg=dict(max_iters=300))", "a={'b.c': [1, 2]}"])
        {'model.depth': 18, 'overrides': {'train_cfg': {'max_iters': 300}}, 'a': {'b.c': [1, 2]}}
        >>> read_options(['data_root=my data/train', "folders=['my data', 'b']"])
        {'data_root': 'my data/train', 'folders': ['my data', 'b']}
    """
    options: Dict[str, Any] = {}
    for text in texts:
        key, _, value = text.partition('=')
        if 'dict(' in value or '{' in value:
            found = _python(value)
            if _has_dict(found) or found == {} and value != '{}':
                options[key] = found
                continue
            if _DICT.fullmatch(value.strip()):
                raise DistillError(f'--cfg-options {text}: the value is no dict of Python, perhaps because quotes are '
                                   f'missing: quote the option, and each text in it: "{key}=dict(a=1, b=\'text\')", or '
                                   f'set {key}.a=1')
        if (spaced := _with_spaces(value.strip())) is not None:
            options[key] = spaced
            continue
        read = argparse.Namespace(cfg_options=None)
        try:
            DictAction([], 'cfg_options')(argparse.ArgumentParser(), read, [text])
        except AssertionError as error:
            raise DistillError(f'--cfg-options: {error}') from None
        options.update(read.cfg_options)
    return options


def _with_spaces(text: str) -> Any:
    """A text or a Python list with spaces, which ``DictAction`` removes; None for other values."""
    if ' ' not in text:
        return None
    found = _python(text)
    if isinstance(found, (str, list, tuple)):
        return found
    return None if ',' in text or text.startswith(('[', '(')) else text


def _has_dict(value: Any) -> bool:
    """Whether a value is a dict that is not empty, or a list that contains one; ``{}`` alone is a text template."""
    return bool(value) if isinstance(value, dict) else isinstance(value, (list, tuple)) and any(map(_has_dict, value))


def _python(text: str) -> Any:
    """The value of a Python expression of literals and ``dict(...)``; None for any other expression."""
    try:
        return _value(ast.parse(text.strip(), mode='eval').body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict':
        if node.args or not all(part.arg for part in node.keywords):
            raise ValueError('only dict(key=value, ...)')
        return {str(part.arg): _value(part.value) for part in node.keywords}
    if isinstance(node, ast.Dict) and None not in node.keys:
        return {ast.literal_eval(key): _value(part) for key, part in zip(node.keys, node.values) if key is not None}
    if isinstance(node, (ast.List, ast.Tuple)):
        values = [_value(part) for part in node.elts]
        return values if isinstance(node, ast.List) else tuple(values)
    return ast.literal_eval(node)
