"""Optuna's tables in a database, compared with those of the installed Optuna."""

from optuna.storages._rdb import models
from sqlalchemy import Engine, inspect, select

__all__ = ["has_tables_of_optuna", "is_complete", "schema_problem"]


def has_tables_of_optuna(engine: Engine) -> bool:
    """Return whether a database has any of Optuna's tables."""
    there = set(inspect(engine).get_table_names())
    return not there.isdisjoint(models.BaseModel.metadata.tables)


def is_complete(engine: Engine) -> bool:
    """Return whether a database has all of Optuna's tables and says which version made them."""
    there = set(inspect(engine).get_table_names())
    if not there.issuperset({*models.BaseModel.metadata.tables, "alembic_version"}):
        return False
    with engine.connect() as connection:
        return connection.execute(select(models.VersionInfoModel.__table__)).first() is not None


def schema_problem(engine: Engine) -> str | None:
    """Return how an existing table differs from the one that the installed Optuna uses, or None.

    Optuna compares version numbers only, which a database that was made in part does not have.
    """
    inspector = inspect(engine)
    there = set(inspector.get_table_names())
    for table in models.BaseModel.metadata.sorted_tables:
        if table.name not in there:
            continue
        columns = {column["name"] for column in inspector.get_columns(table.name)}
        missing = sorted({column.name for column in table.columns} - columns)
        if missing:
            return (
                f"its table {table.name} has no column {missing[0]}, so it was made by another version of "
                "Optuna or by another program"
            )
    return None
