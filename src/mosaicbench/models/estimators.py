"""What a method learned beside networks, as numeric arrays and a description in JSON, and back: nothing in it is code.

Values, arrays, dicts, lists and tuples are described as they are; of objects, only those of :data:`ESTIMATORS` and dataclasses
of this package, by the name of their class and what they hold.
"""

from __future__ import annotations

import importlib
import json
from dataclasses import is_dataclass

import numpy as np

from mosaicbench.errors import UserError

ESTIMATORS = {
    "PCA": "sklearn.decomposition",
    "NearestNeighbors": "sklearn.neighbors",
    "Nystroem": "sklearn.kernel_approximation",
    "RidgeCV": "sklearn.linear_model",
    "Pipeline": "sklearn.pipeline",
}
OWN = "mosaicbench."
DESCRIPTION = (
    "description"  # the array that holds the JSON, beside those that it refers to by number
)


def described(learned: dict[str, object]) -> dict[str, np.ndarray]:
    """Return arrays that hold all of `learned`, a method's attributes by name.

    Raises
    ------
    UserError
        When something in it is neither a value, an array, nor an object that is known here.
    """
    arrays: list[np.ndarray] = []
    node = _node(learned, arrays)
    return {DESCRIPTION: np.frombuffer(json.dumps(node).encode(), dtype=np.uint8)} | {
        str(number): array for number, array in enumerate(arrays)
    }


def restored(state: dict[str, np.ndarray]) -> dict[str, object]:
    """Return what :func:`described` was given.

    Raises
    ------
    UserError
        When the description names a class that is not known here.
    """
    return _thing(json.loads(bytes(state[DESCRIPTION])), state)


def _node(thing: object, arrays: list[np.ndarray]) -> object:
    """Return the description of a thing, and append its arrays to `arrays`."""
    if isinstance(thing, np.ndarray | np.generic):
        if thing.dtype.hasobject:
            return {"strings": [str(name) for name in np.asarray(thing).ravel()]}
        x = np.asarray(thing)
        turned = (
            x.ndim == 2 and x.strides[0] < x.strides[1]
        )  # columns first: only so do products add in the same order again
        arrays.append(
            np.ascontiguousarray(x.T if turned else x).reshape(x.shape[::-1] if turned else x.shape)
        )
        return {"array": len(arrays) - 1, "scalar": isinstance(thing, np.generic), "turned": turned}
    if thing is None or isinstance(thing, bool | int | float | str):
        return {"value": thing}
    if isinstance(thing, dict):
        return {
            "dict": [[_node(key, arrays), _node(value, arrays)] for key, value in thing.items()]
        }
    if isinstance(thing, list | tuple):
        return {type(thing).__name__: [_node(each, arrays) for each in thing]}
    kind = type(thing)
    estimator = kind.__module__.startswith(ESTIMATORS.get(kind.__name__, " "))
    if estimator or (kind.__module__.startswith(OWN) and is_dataclass(kind)):
        where = ESTIMATORS[kind.__name__] if estimator else kind.__module__
        return {"object": [where, kind.__name__], "holds": _node(vars(thing), arrays)}
    raise UserError(f"a model that holds a {kind.__module__}.{kind.__name__} cannot be kept")


def _thing(node: dict, state: dict[str, np.ndarray]) -> object:
    """Return the thing of a description."""
    if "array" in node:
        array = state[str(node["array"])]
        return array[()] if node["scalar"] else array.T if node["turned"] else array
    if "strings" in node:
        return np.array(node["strings"], dtype=object)
    if "value" in node:
        return node["value"]
    if "dict" in node:
        return {_thing(key, state): _thing(value, state) for key, value in node["dict"]}
    if "object" in node:
        return _object(*node["object"], _thing(node["holds"], state))
    return (list if "list" in node else tuple)(
        _thing(each, state) for each in node.get("list", node.get("tuple"))
    )


def _object(module: str, name: str, holds: dict[str, object]) -> object:
    """Return an object of a class that is known here, with what it holds; no code of a file runs."""
    if ESTIMATORS.get(name) != module and not module.startswith(OWN):
        raise UserError(
            f"the model names a class {module}.{name}, which no kept model holds; it is not one of mosaicbench's"
        )
    kind = getattr(importlib.import_module(module), name, None)
    if not isinstance(kind, type) or (module.startswith(OWN) and not is_dataclass(kind)):
        raise UserError(
            f"the model names a class {module}.{name}, which this version does not have; fit it again"
        )
    thing = object.__new__(kind)
    vars(thing).update(holds)
    return thing
