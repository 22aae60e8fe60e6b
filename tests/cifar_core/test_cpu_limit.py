"""The CPU limit of a container is found in control groups of both versions."""

from pathlib import Path

import pytest

from cifar_core import device
from cifar_core.cpu_limit import cpu_limit


def found(root: Path, own: str, **files: str) -> float | None:
    """The limit where a process is in these groups and `files` (`__` for `/`) are mounted."""
    names = root / "own"
    names.write_text(own)
    for name, content in files.items():
        file = (
            root / "groups" / name.replace("__", "/").replace("_max", ".max").replace("cfs", ".cfs")
        )
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return cpu_limit(root / "groups", names)


@pytest.mark.parametrize(
    ("own", "files", "limit"),
    [
        ("0::/", {"cpu_max": "200000 100000\n"}, 2.0),
        ("0::/", {"cpu_max": "max 100000\n"}, None),
        # The narrowest of a group and those above it counts.
        ("0::/a/b", {"a__cpu_max": "150000 100000", "a__b__cpu_max": "400000 100000"}, 1.5),
        # A container that sees the host's path, and its own group at the root.
        ("0::/docker/123", {"cpu_max": "50000 100000"}, 0.5),
        (
            "4:memory:/x\n3:cpu,cpuacct:/x\n",
            {
                "cpu,cpuacct__x__cpucfs_quota_us": "300000",
                "cpu,cpuacct__x__cpucfs_period_us": "100000",
            },
            3.0,
        ),
        ("3:cpu:/", {"cpu__cpucfs_quota_us": "-1", "cpu__cpucfs_period_us": "100000"}, None),
        ("0::/", {"cpu_max": "many of them"}, None),
        ("nonsense", {}, None),
    ],
)
def test_a_limit_is_found_wherever_it_stands(
    tmp_path: Path, own: str, files: dict[str, str], limit: float | None
) -> None:
    assert found(tmp_path, own, **files) == limit


@pytest.mark.parametrize(("limit", "cores"), [(None, 64), (2.0, 2), (2.9, 2), (0.5, 1), (99.0, 64)])
def test_the_cores_of_a_process_are_no_more_than_its_limit(
    monkeypatch: pytest.MonkeyPatch, limit: float | None, cores: int
) -> None:
    monkeypatch.setattr(device, "cpu_limit", lambda: limit)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)))
    assert device.available_cores() == cores
