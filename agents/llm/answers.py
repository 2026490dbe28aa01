"""Structured output: the schema sent, and what an answer's text is held against."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from storage.plain import shortened

PROBLEMS_TOLD = 10
PROBLEM_LONGEST = 200


class AnswerModel(BaseModel):
    """What a role wants to be told. The API enforces shape and enums only; bounds are ours to check.

    Use lists of pairs, not dicts: a free dict has no properties in the API's dialect and comes back empty.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


T = TypeVar("T", bound=AnswerModel)


@dataclass(frozen=True)
class Misfit:
    """An answer that does not keep to its schema, and in what."""

    problems: tuple[str, ...]

    def __str__(self) -> str:
        return "; ".join(self.problems)


@cache
def schema_of(answer: type[AnswerModel]) -> dict[str, object]:
    """The schema in the API's dialect, byte for byte the same in every call: a change voids its cache.

    Imports anthropic. Raises ValueError for a model the dialect cannot say.
    """
    from anthropic import transform_schema

    return dict(transform_schema(answer))


def read_answer(answer: type[T], text: str) -> T | Misfit:
    """The text as an answer. Prose or a fence around the object is passed over: not every server enforces."""
    first, last = text.find("{"), text.rfind("}")
    if first < 0 or last < first:
        return Misfit(("the answer holds no JSON object",))
    try:
        return answer.model_validate_json(text[first : last + 1])
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False, include_input=False)
    said = (f"{'.'.join(str(part) for part in error['loc']) or 'answer'}: {error['msg']}" for error in errors)
    return Misfit(tuple(shortened(problem, PROBLEM_LONGEST) for problem in said)[:PROBLEMS_TOLD])
