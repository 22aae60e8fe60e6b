"""Derived seeds: fixed for ever, in range, and unrelated to each other."""

from hypothesis import example, given
from hypothesis import strategies as st

from cifar_core.seeds import derive

names = st.lists(st.integers() | st.text(st.characters(exclude_characters="\x1f")), max_size=3)


def test_a_derived_seed_is_the_same_for_ever() -> None:
    assert derive(0, "trial", 1) == 7450085190225542835
    assert derive(0) == 3456079177858693020


@given(seed=st.integers(), purpose=names)
@example(seed=0, purpose=["\ud800"])
def test_a_derived_seed_fits_pytorchs_generators(seed: int, purpose: list[str | int]) -> None:
    assert 0 <= derive(seed, *purpose) < 2**63


@given(st.lists(st.tuples(st.integers(), st.lists(st.integers(), max_size=3)), max_size=20))
def test_other_seeds_and_other_purposes_give_other_seeds(
    cases: list[tuple[int, list[int]]],
) -> None:
    distinct = {(seed, *purpose) for seed, purpose in cases}
    assert len({derive(*case) for case in distinct}) == len(distinct)


def test_neighbouring_names_do_not_run_into_each_other() -> None:
    assert derive(0, "ab", "c") != derive(0, "a", "bc")
    assert derive(1, 2) != derive(12)


def test_zero_is_a_seed_of_its_own() -> None:
    assert derive(0, "pictures") != derive(1, "pictures")
    assert derive(0, "pictures") != derive(0, "network")
