"""Valid JSON for a schema in the API's dialect, so that a stand-in can answer any role."""

from __future__ import annotations

import re
from collections.abc import Mapping
from random import Random
from typing import Any

Schema = Mapping[str, Any]

# Bounds the dialect cannot say stand in the description, as "{minimum: 0, maximum: 100}".
_BOUND = re.compile(
    r"\b(minimum|maximum|exclusiveMinimum|exclusiveMaximum|minLength|maxLength|minItems|maxItems): (-?[\d.]+)"
)
WORDS = "A measured view on the figures given; nothing in them speaks loudly for either side."


def answer_for(schema: Schema, random: Random) -> Any:
    """A value that keeps to the schema, drawn by `random`."""
    return _value(schema, schema.get("$defs", {}), random)


def _value(schema: Schema, definitions: Mapping[str, Schema], random: Random) -> Any:
    if "$ref" in schema:
        return _value(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions, random)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return random.choice(schema["enum"])
    if "anyOf" in schema:
        options = [option for option in schema["anyOf"] if option.get("type") != "null"]
        return _value(options[0], definitions, random) if options else None
    bounds = {name: float(value) for name, value in _BOUND.findall(schema.get("description", ""))}
    bounds |= {
        name: float(value)
        for name, value in schema.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }
    match schema.get("type"):
        case "object":
            properties = schema.get("properties", {})
            return {name: _value(inner, definitions, random) for name, inner in properties.items()}
        case "array":
            least = int(bounds.get("minItems", 0))
            most = int(bounds.get("maxItems", max(least, 2)))
            count = random.randint(least, min(most, least + 2))
            return [_value(schema["items"], definitions, random) for _ in range(count)]
        case "string":
            least, most = int(bounds.get("minLength", 0)), int(bounds.get("maxLength", len(WORDS)))
            return (WORDS * (least // len(WORDS) + 1))[: max(least, min(most, len(WORDS)))]
        case "integer":
            first = bounds.get("minimum", bounds.get("exclusiveMinimum", -1) + 1)
            last = bounds.get("maximum", bounds.get("exclusiveMaximum", first + 11) - 1)
            return random.randint(int(first), int(last))
        case "number":
            low = bounds.get("minimum", bounds.get("exclusiveMinimum", 0.0))
            high = bounds.get("maximum", bounds.get("exclusiveMaximum", low + 1))
            return round(low + (high - low) * (0.25 + random.random() / 2), 4)
        case "boolean":
            return random.random() < 0.5
        case _:
            return None
