"""The page of all fields is complete, and the documentation has the newest one."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from spaces.fields import fields_of, fields_page, records

PAGE = Path(__file__).parents[2] / "docs" / "FIELDS.md"


@pytest.mark.parametrize("record", records().values(), ids=lambda one: one.__name__)
def test_every_field_says_what_it_means(record: type[BaseModel]) -> None:
    assert [one.name for one in fields_of(record) if not one.meaning] == []


def test_a_field_has_its_range_and_default() -> None:
    (batch,) = [one for one in fields_of(records()["[recipe]"]) if one.name == "batch_size"]
    assert (batch.allowed, batch.default) == ("whole, from 1 to 8192", "64")


def test_the_documentation_has_this_page() -> None:
    assert PAGE.read_text(encoding="utf-8") == fields_page()
