"""What a tree of processes costs, read from /proc: CPU time and memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Memory:
    """Of one process, in MB (10^6 bytes). PSS counts a page shared by n processes as 1/n of a page."""

    rss: float
    pss: float


def tree(root: int) -> list[int]:
    """Return a process and all its descendants, itself first."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root]
    for process in found:
        found += children.get(process, [])
    return found


def cpu_seconds(roots: Iterable[int]) -> float:
    """Return the CPU time of process trees until now, that of children who have ended included."""
    ticks = 0
    for root in roots:
        for process in tree(root):
            if fields := _stat(process):
                ticks += sum(map(int, fields[11:15]))
    return ticks / _TICKS


def workers(root: int) -> list[int]:
    """Return the processes below ``root`` that serve, without those that only keep count of resources."""
    below = [process for process in tree(root) if process != root]
    return [process for process in below if b"resource_tracker" not in _read(process, "cmdline")]


def memory(processes: Sequence[int]) -> list[Memory]:
    return [_memory(process) for process in processes]


def _memory(process: int) -> Memory:
    kilobytes = {}
    for line in _read(process, "smaps_rollup").splitlines()[1:]:
        name, _, value = line.partition(b":")
        kilobytes[name] = int(value.split()[0]) * 1024 / 1e6
    return Memory(rss=kilobytes[b"Rss"], pss=kilobytes[b"Pss"])


def _stat(process: int) -> list[bytes] | None:
    """Return the fields after the name: state, parent, …; None for a process that has ended."""
    try:
        return _read(process, "stat").rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _read(process: int, name: str) -> bytes:
    return (_PROC / str(process) / name).read_bytes()
