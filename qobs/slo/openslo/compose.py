"""YAML events into nodes, never deeper than a bound.

PyYAML composes by recursion, in C where it is built so: there a text of nothing but brackets ends the process. The events are
read one by one by either reader, so a bound on the depth holds here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

MAX_DEPTH = 48

UNTAGGED = ""
"""Tag of what is written without one."""


class TooBigError(Exception):
    """The tree passes a bound."""


def compose_all(events: Iterator[Any]) -> Iterator[yaml.Node]:
    """The root of each document. What is written without a tag has the tag :data:`UNTAGGED`.

    Raises:
        TooBigError: A document is deeper than :data:`MAX_DEPTH`.
        yaml.YAMLError: The events end in a fault, or an alias has no anchor.
    """
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            yield _node(next(events), events, {}, 0)


def _node(event: Any, events: Iterator[Any], anchors: dict[str, yaml.Node], depth: int) -> yaml.Node:
    if depth > MAX_DEPTH:
        raise TooBigError
    if isinstance(event, yaml.AliasEvent):
        if event.anchor not in anchors:
            mark: Any = event.start_mark
            raise yaml.MarkedYAMLError(problem="found an alias without an anchor", problem_mark=mark)
        return anchors[event.anchor]
    node = _empty(event)
    if event.anchor is not None:
        anchors[event.anchor] = node
    if isinstance(node, yaml.SequenceNode):
        while not isinstance(inner := next(events), yaml.SequenceEndEvent):
            node.value.append(_node(inner, events, anchors, depth + 1))
    elif isinstance(node, yaml.MappingNode):
        while not isinstance(inner := next(events), yaml.MappingEndEvent):
            key = _node(inner, events, anchors, depth + 1)
            node.value.append((key, _node(next(events), events, anchors, depth + 1)))
    return node


def _empty(event: Any) -> yaml.Node:
    """The node of an event, without what it holds."""
    tag: str = event.tag or UNTAGGED
    start: Any = event.start_mark
    if isinstance(event, yaml.ScalarEvent):
        return yaml.ScalarNode(tag, event.value, start, None, style=event.style)
    if isinstance(event, yaml.SequenceStartEvent):
        return yaml.SequenceNode(tag, [], start, None)
    return yaml.MappingNode(tag, [], start, None)
