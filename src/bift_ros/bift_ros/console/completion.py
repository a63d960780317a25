"""`./bift completion bash|zsh`: a script that completes commands in the shell."""

from __future__ import annotations

import argparse
from pathlib import Path

import shtab

from bift_ros.console import main as console
from bift_ros.console.arguments import Parser

SHELLS = ("bash", "zsh")
_MAY_BE_FILES = ("account", "key", "model")
_HOW = {
    "bash": 'eval "$(./bift completion bash)" in ~/.bashrc, or the output as '
    "~/.local/share/bash-completion/completions/bift",
    "zsh": 'the output as "_bift" in a folder of $fpath, before compinit in ~/.zshrc',
}


def add_arguments(parser: Parser) -> None:
    """One action for each shell."""
    parser.take_actions("SHELL")
    for shell in SHELLS:
        parser.add_action(
            shell,
            f"Print a script that completes commands in {shell}.",
            epilog=f"To use it: {_HOW[shell]}. Make it anew after an update: it is fixed text, so "
            "that completing takes no time.",
        )


def main(arguments: argparse.Namespace) -> None:
    """Print the script."""
    parser = console.build_parser(*console.COMMANDS)
    _complete_files(parser)
    print(shtab.complete(parser, shell=arguments.action))


def _complete_files(parser: Parser) -> None:
    """Have every argument that is a path completed as one."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                _complete_files(sub)
        elif action.type is Path or action.dest in _MAY_BE_FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
