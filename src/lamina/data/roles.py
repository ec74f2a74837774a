"""Which column of a source is the target, the time, the id and which covariate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lamina.data.encoding import Encoding
from lamina.data.sheet import require_columns
from lamina.errors import DataError


@dataclass(frozen=True)
class Roles:
    """Which column of the source is what."""

    targets: tuple[str, ...]
    time: str | None
    id: str | None
    future: tuple[str, ...]
    past: tuple[str, ...]
    static: tuple[str, ...]

    @property
    def covariates(self) -> tuple[str, ...]:
        """Known-future, past-only, then static."""
        return self.future + self.past + self.static

    @property
    def all(self) -> list[str]:
        """Every column that is read."""
        single = [name for name in (self.time, self.id) if name is not None]
        return [*single, *self.targets, *self.covariates]


def assign_roles(
    columns: list[str],
    *,
    target: str | Sequence[str] | None,
    time: str | None,
    id: str | None,
    future: Sequence[str],
    past: Sequence[str] | None,
    static: Sequence[str],
    encoding: Encoding | None,
    source: str,
) -> tuple[Roles, list[str]]:
    """Roles from what was named and from what is there, with a note on every choice made for the user.

    Args:
        columns: of the source.
        source: its name, for messages.
        target, time, id, future, past, static, encoding: as in ``read_series``.

    Raises:
        DataError: a name is no column, has two roles, or is unknown to the encoding.
    """
    notes = []
    if target is None and "y" not in columns:
        raise DataError(
            f"{source}: a target must be named, as there is no column 'y'; name one or more of "
            f"{', '.join(columns)} with target= (--target)"
        )
    targets = ("y",) if target is None else (target,) if isinstance(target, str) else tuple(target)
    if not targets:
        raise DataError("at least one target must be named but target= is empty; name a column")
    if time is None and "ds" in columns:
        time = "ds"
    if id is None and "unique_id" in columns:
        id = "unique_id"
    if encoding is not None:
        known = {column.name for column in encoding.columns}
        if unknown := [name for name in (*future, *(past or ()), *static) if name not in known]:
            raise DataError(
                f"covariates are those the encoding knows ({', '.join(sorted(known)) or 'none'}) but "
                f"{', '.join(unknown)} was also named; leave it out"
            )
        future, past, static = encoding.names
    named = [*targets, *(name for name in (time, id) if name is not None), *future, *(past or ()), *static]
    require_columns(named, columns, source)
    if twice := sorted({name for name in named if named.count(name) > 1}):
        raise DataError(f"a column has one role but {', '.join(twice)} was given several; name it once")
    if past is None:
        past = [name for name in columns if name not in named]
        if past:
            notes.append(
                f"{', '.join(past)} {'is' if len(past) == 1 else 'are'} taken as known up to now only "
                f"(name the columns that are known ahead with future=, --future)"
            )
    return Roles(targets, time, id, tuple(future), tuple(past), tuple(static)), notes
