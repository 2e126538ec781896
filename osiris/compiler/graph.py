"""Plain graph work on step ids: execution order, levels, circles. Ids stand for nodes; places decide all ties."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping, Sequence


def execution_order(ids: Sequence[str], needs: Mapping[str, Collection[str]]) -> list[str]:
    """``ids`` so that each stands after what it needs, otherwise in their own order; those in circles are left out."""
    place = {step: number for number, step in enumerate(ids)}
    waiting = {step: len(needs[step]) for step in ids}
    users: dict[str, list[str]] = {step: [] for step in ids}
    for step in ids:
        for need in needs[step]:
            users[need].append(step)
    ready = [place[step] for step in ids if waiting[step] == 0]
    order: list[str] = []
    while ready:
        step = ids[heapq.heappop(ready)]
        order.append(step)
        for user in users[step]:
            waiting[user] -= 1
            if waiting[user] == 0:
                heapq.heappush(ready, place[user])
    return order


def levels(order: Sequence[str], needs: Mapping[str, Collection[str]]) -> list[list[str]]:
    """The steps of an execution order in groups: each step is one group after the last of those that it needs."""
    level: dict[str, int] = {}
    groups: list[list[str]] = []
    for step in order:
        level[step] = 1 + max((level[need] for need in needs[step]), default=-1)
        if level[step] == len(groups):
            groups.append([])
        groups[level[step]].append(step)
    return groups


def find_circles(ids: Sequence[str], needs: Mapping[str, Collection[str]]) -> list[list[str]]:
    """Circles of steps that need each other, one at least where there are any; each begins at its first step."""
    left = set(ids) - set(execution_order(ids, needs))
    place = {step: number for number, step in enumerate(ids)}
    circles: list[list[str]] = []
    seen: set[str] = set()
    for start in ids:
        if start not in left or start in seen:
            continue
        path: dict[str, int] = {}
        step: str | None = start
        while step is not None and step not in path:
            path[step] = len(path)
            step = next((need for need in needs[step] if need in left and need not in seen), None)
        if step is not None:
            circle = list(path)[path[step] :]
            first = circle.index(min(circle, key=place.__getitem__))
            circles.append(circle[first:] + circle[:first])
        seen.update(path)
    return circles
