"""Documents say what the records in benchmarks/results say."""

import re

import pytest

from benchmarks import documents, pages


@pytest.mark.parametrize("path", documents.PAGES, ids=lambda path: path.stem)
def test_figures_are_those_that_were_measured(path):
    """`python -m benchmarks.documents` writes them."""
    page, tables = path.read_text("utf-8"), documents.PAGES[path]
    assert pages.refreshed(page, tables) == page
    assert set(tables) == set(re.findall(r"<!-- table: (\w+) -->", page))
    changed = re.sub(r"^(\| [^|]*[a-z]) ", r"\1x ", page, flags=re.MULTILINE)
    assert changed != page
    blocks = re.findall(r"<!-- table.*?<!-- end -->", page, re.DOTALL)
    again = pages.refreshed(changed, tables)
    assert all(block in again for block in blocks)
