"""What editors, `dg` and Dagster's UI know of the attributes, from the model that Dagster derives for the YAML."""

from typing import Any

import dagster as dg
from pydantic import BaseModel, Field, create_model

_MODELS: dict[type, type[BaseModel]] = {}


class Documented(dg.Resolvable):
    """A class whose YAML is described as its fields are.

    Dagster derives a model of the YAML in which each field's description gives way to that of its resolver, which has none,
    and in which the field's own validators see values whose templates are not resolved yet. Here the descriptions stay, and
    values are looked at when they are resolved.
    """

    @classmethod
    def model(cls) -> type[BaseModel]:
        if cls not in _MODELS:
            derived = super().model()
            own: dict[str, Any] = cls.model_fields  # type: ignore[attr-defined]
            described = {
                name: (found.annotation, Field(default=found.default, description=own[name].description))
                for name, found in derived.model_fields.items()
            }
            _MODELS[cls] = create_model(derived.__name__, __base__=derived, **described)
        return _MODELS[cls]
