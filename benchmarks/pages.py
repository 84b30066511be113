"""Tables in documentation pages, written anew from records of what was measured."""

from __future__ import annotations

import re
from collections.abc import Mapping

_TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def with_tables(page: str, tables: Mapping[str, str]) -> str:
    """The page with new tables between its marks `<!-- table: NAME -->` and `<!-- end -->`.

    Raises:
        KeyError: The page marks a table that is not among them.
    """
    return _TABLE.sub(lambda found: f"{found[1]}\n{tables[found[2]]}\n\n{found[3]}", page)
