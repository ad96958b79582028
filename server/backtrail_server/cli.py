"""The `backtrail` command: arguments in, one function of `terminal/` (or the server, or the host) out.

Everything heavier than argparse is imported by the command that needs it, so that `backtrail serve`
starts at once and `backtrail --help` answers without loading a language server.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from backtrail_server import __version__

Command = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. 0: done; 1: not achieved; 2: wrong use; 130: interrupted."""
    arguments = build_parser().parse_args(argv)
    command: Command = arguments.command
    try:
        return command(arguments)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        sys.stderr.close()
        return 1


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="backtrail",
        description="A language server that knows what your Python code did.",
        epilog="Start with: backtrail trace FILE, backtrail fix FILE. Editors run: backtrail serve.",
    )
    parser.add_argument("--version", action="version", version=f"backtrail {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for add in (_serve, _trace, _fix, _host, _models, _trust, _doctor):
        add(commands)
    return parser


def _add(commands: argparse._SubParsersAction, name: str, help: str, run: Command) -> argparse.ArgumentParser:  # type: ignore[type-arg]
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help, description=help)
    parser.set_defaults(command=run)
    return parser


def _serve(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    def run(arguments: argparse.Namespace) -> int:
        from backtrail_server.app import serve

        serve(arguments.tcp)
        return 0

    parser = _add(commands, "serve", "Run the language server on stdin and stdout.", run)
    parser.add_argument("--stdio", action="store_true", help="the default; accepted because editors pass it")
    parser.add_argument("--tcp", type=int, metavar="PORT", help="listen on 127.0.0.1:PORT instead")


def _entry_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, help="a Python file, or a folder with tests")
    parser.add_argument(
        "--python", metavar="PATH", help="the interpreter of the program (default: see `backtrail doctor`)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document for programs")


def _trace(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    def run(arguments: argparse.Namespace) -> int:
        from backtrail_server.terminal import trace

        return trace.run(arguments.path, python=arguments.python, json=arguments.json, lines=arguments.lines)

    parser = _add(commands, "trace", "Run what fits PATH under the tracer and show what it did.", run)
    _entry_arguments(parser)
    parser.add_argument("--lines", action="store_true", help="also show the values line by line")


def _fix(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    def run(arguments: argparse.Namespace) -> int:
        from backtrail_server.terminal import fix

        return fix.run(
            arguments.path,
            python=arguments.python,
            json=arguments.json,
            budget_s=arguments.budget,
            seed=arguments.seed,
            apply=arguments.apply,
            explain=not arguments.no_explanation,
        )

    parser = _add(commands, "fix", "Trace PATH, explain its failure, and search for a fix that passes.", run)
    _entry_arguments(parser)
    parser.add_argument(
        "--budget", type=float, metavar="SECONDS", help="how long to search (fix.budgetSeconds)"
    )
    parser.add_argument("--seed", type=int, help="the same seed gives the same search (fix.seed)")
    parser.add_argument("--no-explanation", action="store_true", help="go straight to the search")
    parser.add_argument(
        "--apply", action="store_true", help="write the fix to the file if it passed everything"
    )


def _host(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    def run(arguments: argparse.Namespace) -> int:
        from backtrail_server.terminal import hosting

        return hosting.serve(
            arguments.model, arguments.address, arguments.port, arguments.token, arguments.anywhere
        )

    parser = _add(commands, "host", "Run the model host: an OpenAI-compatible server on loopback.", run)
    parser.add_argument("--model", default="auto", help="an alias, a hub id, a folder or a GGUF file (auto)")
    parser.add_argument("--address", default="127.0.0.1", help="the address to listen on (127.0.0.1)")
    parser.add_argument("--anywhere", action="store_true", help="allow an address that others can reach")
    parser.add_argument("--port", type=int, help="the port; 0 takes a free one (8763, or a free one)")
    parser.add_argument("--token", help="the bearer token (default: BACKTRAIL_TOKEN, else a random one)")


def _models(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    def run(arguments: argparse.Namespace) -> int:
        from backtrail_server.terminal import models

        return models.run(arguments.action, arguments.name)

    parser = _add(commands, "models", "List, fetch, verify or remove the weights that are kept here.", run)
    parser.add_argument("action", choices=("list", "fetch", "verify", "remove"))
    parser.add_argument("name", nargs="?", help="which model (not for list)")


def _trust(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    def run(arguments: argparse.Namespace) -> int:
        from backtrail_server.terminal import trust

        return trust.run(arguments.path, arguments.answer)

    parser = _add(commands, "trust", "Say whether Backtrail may run code of a workspace on save.", run)
    parser.add_argument("path", type=Path, help="the workspace folder")
    parser.add_argument(
        "answer",
        nargs="?",
        default="always",
        choices=("always", "ask", "never", "show"),
        help="always: on save; ask: only when I ask; never; show: print what is remembered",
    )


def _doctor(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    def run(arguments: argparse.Namespace) -> int:
        from backtrail_server.terminal import doctor

        return doctor.run(arguments.path)

    parser = _add(commands, "doctor", "Show what Backtrail would use here, and why.", run)
    parser.add_argument("path", type=Path, nargs="?", default=Path(), help="the workspace folder (.)")
