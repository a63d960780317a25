"""YAML with the line on which everything stands, so that an error can say where to look."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

Place = tuple[str | int, ...]
"""Keys and list indices from the top of a document, such as `("vehicles", 3, "bag")`."""


class Problem(NamedTuple):
    """Something wrong at a place."""

    place: Place
    text: str


class YamlSyntaxError(ValueError):
    """A file that is no YAML, or cannot be read; names the file and, where it can, the line."""


@dataclass(frozen=True)
class LocatedYaml:
    """A document of mappings with text keys, lists and plain values."""

    file: Path
    value: Any
    lines: Mapping[Place, int]
    """From 1; a mapping's entry stands where its key does."""
    problems: tuple[Problem, ...]
    """Keys that stand twice, of which YAML would take the last."""

    def line_of(self, place: Place) -> int:
        """Its line, or that of what is around a place that isn't there."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def message(self, problem: Problem) -> str:
        """`file:line: place: text`."""
        where = ".".join(map(str, problem.place))
        said = f"{where}: {problem.text}" if where else problem.text
        return f"{self.file}:{self.line_of(problem.place)}: {said}"


def read_yaml(file: Path) -> LocatedYaml:
    """Read one document; an empty file is an empty mapping. Raises YamlSyntaxError."""
    try:
        loader = yaml.SafeLoader(file.read_text(encoding="utf-8"))
        node = loader.get_single_node()
        reader = _Reader(loader)
        value = {} if node is None else reader.read(node, ())
    except OSError as error:
        raise YamlSyntaxError(f"can't read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise YamlSyntaxError(f"{file} is not UTF-8 text: save it as that") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        raise YamlSyntaxError(f"{file}:{line}: not YAML: {error.problem}") from error
    except yaml.reader.ReaderError as error:
        raise YamlSyntaxError(f"{file}: not YAML: {error.reason} ({error.character!r})") from error
    except RecursionError as error:
        raise YamlSyntaxError(f"{file}: nested too deeply") from error
    return LocatedYaml(file, value, reader.lines, tuple(reader.problems))


class _Reader:
    def __init__(self, loader: yaml.SafeLoader) -> None:
        self._loader = loader
        self._open: set[int] = set()
        self._checked: set[int] = set()
        self.lines: dict[Place, int] = {}
        self.problems: list[Problem] = []

    def read(self, node: yaml.Node, place: Place) -> Any:
        self.lines.setdefault(place, node.start_mark.line + 1)
        if id(node) in self._open:
            raise yaml.MarkedYAMLError(
                problem="an alias inside of what it stands for", problem_mark=node.start_mark
            )
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return dict(self._entries(node, place))
            if isinstance(node, yaml.SequenceNode):
                return [self.read(item, (*place, n)) for n, item in enumerate(node.value)]
            return self._scalar(node)
        finally:
            self._open.remove(id(node))

    def _entries(self, node: yaml.MappingNode, place: Place) -> Iterator[tuple[str, Any]]:
        if id(node) not in self._checked:  # after an alias it is the same node, and merged
            self._checked.add(id(node))
            self._check_keys(node, place)
            self._loader.flatten_mapping(node)  # the merge key `<<`; own entries come last
        for key_node, value_node in node.value:
            key: str = key_node.value
            self.lines[(*place, key)] = key_node.start_mark.line + 1
            yield key, self.read(value_node, (*place, key))

    def _check_keys(self, node: yaml.MappingNode, place: Place) -> None:
        first: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(
                    problem="a key that is not a word", problem_mark=key.start_mark
                )
            if key.value in first:
                again = f"stands twice: delete this or the one on line {first[key.value]}"
                self.problems.append(Problem((*place, key.value), again))
            first.setdefault(key.value, line)

    def _scalar(self, node: yaml.Node) -> Any:
        try:
            return self._loader.construct_object(node)
        except ValueError as error:  # such as 2024-13-01, which YAML takes for a date
            raise yaml.MarkedYAMLError(
                problem=f"{node.value!r}: {error}; text goes into quotes",
                problem_mark=node.start_mark,
            ) from error
