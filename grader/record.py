"""The base of all records, and the ranged values that they are made of."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator


def writable(value: Any) -> Any:
    """Text as UTF-8 can write it: a lone surrogate (half a character) becomes a question mark."""
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else value


def cut(value: Any) -> Any:
    """Text of no more than 20,000 characters."""
    return value[:20_000] if isinstance(value, str) else value


def exceeded(error: ValidationError) -> str:
    """Which limit of a record's own something exceeds; nothing if it is wrong in another way."""
    first = error.errors(include_input=False, include_url=False)[0]
    if first["type"] not in ("too_long", "string_too_long"):
        return ""
    unit = "characters" if first["type"] == "string_too_long" else "items"
    where = ".".join(str(part) for part in first["loc"] if part != "type")
    return f"{where}: more than {first['ctx']['max_length']:,} {unit}, which is grader's limit"[:500]


class Record(BaseModel):
    """Base of all records: immutable, no unknown fields, no NaN, text that UTF-8 can write."""

    # Validators are built when they are first used: a child needs few of them, and starts sooner.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    @field_validator("*", mode="after")
    @classmethod
    def _writable(cls, value: Any) -> Any:
        return writable(value)


Name = Annotated[str, Field(min_length=1, max_length=200), BeforeValidator(writable)]
Text = Annotated[str, Field(max_length=20_000), BeforeValidator(writable)]
CutText = Annotated[str, BeforeValidator(cut)]  # ours or a child's, of any length
Size = Annotated[int, Field(ge=1, le=1_000_000)]
Single = tuple[Size]
Pair = tuple[Size, Size]
# Numbers that float32 can hold with room to spare: what exceeds them would only break training.
Number = Annotated[float, Field(ge=-1e30, le=1e30)]
Rate = Annotated[float, Field(ge=0.0, lt=1.0)]
NonNegative = Annotated[float, Field(ge=0.0, le=1e30)]
Positive = Annotated[float, Field(gt=0.0, le=1e30)]
