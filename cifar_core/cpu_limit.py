"""The CPU limit of the container that this process runs in."""

from collections.abc import Iterator
from pathlib import Path

__all__ = ["cpu_limit"]

GROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")


def cpu_limit(groups: Path = GROUPS, own_groups: Path = OWN_GROUPS) -> float | None:
    """Return the CPU time that this process may use per second; None without a limit.

    The limit of `docker run --cpus 2`, of Kubernetes or of systemd is a quota of its control group, which
    neither the number of CPUs nor the affinity shows. The group itself and all above it count.

    Source:
        Linux kernel documentation, "Control Group v2" (``cpu.max``) and "CFS Bandwidth Control"
        (``cpu.cfs_quota_us``, ``cpu.cfs_period_us``).

    Args:
        groups: Folder where control groups are mounted.
        own_groups: File that names the groups of this process.
    """
    limits = [
        limit
        for folder in _folders(groups, own_groups)
        for limit in (_version_2(folder), _version_1(folder))
        if limit is not None
    ]
    return min(limits, default=None)


def _folders(groups: Path, own_groups: Path) -> Iterator[Path]:
    """Yield the folders that may hold a limit: those of the process's groups and of all groups above.

    Within a container the path may be that of the host, of which only the end, or nothing, is there.
    """
    try:
        lines = own_groups.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        _, controllers, path = (*line.split(":", maxsplit=2), "", "")[:3]
        if controllers and "cpu" not in controllers.split(","):
            continue
        mounts = [groups] if not controllers else [groups / controllers, groups / "cpu"]
        own = Path(path.lstrip("/"))
        for mount in mounts:
            yield from (mount / part for part in (own, *own.parents))


def _version_2(folder: Path) -> float | None:
    try:
        quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        return None if quota == "max" else _share(int(quota), int(period))
    except (OSError, ValueError):
        return None


def _version_1(folder: Path) -> float | None:
    try:
        quota = int((folder / "cpu.cfs_quota_us").read_text(encoding="ascii"))
        return _share(quota, int((folder / "cpu.cfs_period_us").read_text(encoding="ascii")))
    except (OSError, ValueError):
        return None


def _share(quota: int, period: int) -> float | None:
    return quota / period if quota > 0 and period > 0 else None  # -1 is no limit
