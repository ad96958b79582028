"""The `backtrail` command: arguments in, one function of `terminal/` (or the server, or the host) out.

Everything heavier than argparse is imported by the command that needs it, so that `backtrail serve`
starts at once and `backtrail --help` answers without loading a language server.
"""

from __future__ import annotations

import argparse
import os
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
    for add in (_serve, _trace, _why, _record, _fix, _host, _models, _trust, _doctor, _study, _tune):
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
    _run_arguments(parser)


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--python", metavar="PATH", help="the interpreter of the program (default: see `backtrail doctor`)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document for programs")


def _trace(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    def run(arguments: argparse.Namespace) -> int:
        from backtrail_server.terminal import trace

        return trace.run(
            arguments.path,
            python=arguments.python,
            json=arguments.json,
            lines=arguments.lines,
            compare=arguments.compare,
        )

    parser = _add(commands, "trace", "Run what fits PATH under the tracer and show what it did.", run)
    _entry_arguments(parser)
    parser.add_argument("--lines", action="store_true", help="also show the values line by line")
    parser.add_argument(
        "--compare", action="store_true", help="also compare with the last good run, and keep this one"
    )


def _why(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    def run(arguments: argparse.Namespace) -> int:
        from backtrail_server.terminal import why

        return why.run(arguments.place, entry=arguments.run, python=arguments.python, json=arguments.json)

    parser = _add(commands, "why", "Run what fits FILE and show where a value came from. No model.", run)
    parser.add_argument("place", metavar="FILE:LINE[:NAME]", help="a line, and a name that it reads or sets")
    parser.add_argument("--run", type=Path, metavar="PATH", help="what to run (default: what fits FILE)")
    _run_arguments(parser)


def _record(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    def run(arguments: argparse.Namespace) -> int:
        from backtrail_server.terminal import record

        return record.run(
            arguments.attach,
            seconds=arguments.seconds,
            files=arguments.files or (),
            hits=arguments.hits,
            json=arguments.json,
            root=arguments.root,
        )

    parser = _add(commands, "record", "Record a running program for a while; it goes on afterwards.", run)
    parser.add_argument(
        "--attach", required=True, metavar="HOST:PORT", help="where its `python -m debugpy --listen` listens"
    )
    parser.add_argument("--seconds", type=_seconds, default=5.0, metavar="N", help="how long (5)")
    parser.add_argument(
        "--files", nargs="+", metavar="GLOB", help="files or folders below ROOT (default: all of ROOT)"
    )
    parser.add_argument("--root", type=Path, default=Path(), help="the folder of the program's code (.)")
    parser.add_argument("--hits", type=int, metavar="N", help="hits kept of a line, calls of a function")
    parser.add_argument("--json", action="store_true", help="print one JSON document for programs")


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError("between 0 and 3600 seconds")
    return seconds


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
            keep=arguments.keep,
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
    parser.add_argument(
        "--keep", action="store_true", help="keep the applied fix on this machine, for `tune` (fix.keep)"
    )


def _host(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    def run(arguments: argparse.Namespace) -> int:
        from backtrail_server.terminal import hosting

        return hosting.serve(
            arguments.model,
            arguments.address,
            arguments.port,
            arguments.token,
            anywhere=arguments.anywhere,
            owned=arguments.owned,
            adapter=arguments.adapter,
        )

    parser = _add(commands, "host", "Run the model host: an OpenAI-compatible server on loopback.", run)
    parser.add_argument("--model", default="auto", help="an alias, a hub id, a folder or a GGUF file (auto)")
    parser.add_argument("--adapter", type=Path, metavar="FOLDER", help="one that `tune` made, laid over it")
    parser.add_argument("--address", default="127.0.0.1", help="the address to listen on (127.0.0.1)")
    parser.add_argument("--anywhere", action="store_true", help="allow an address that others can reach")
    parser.add_argument("--port", type=int, help="the port; 0 takes a free one (8763, or a free one)")
    parser.add_argument("--token", help="the bearer token (default: BACKTRAIL_TOKEN, else a random one)")
    parser.add_argument(
        "--owned", action="store_true", help="end when stdin is closed, so with the program that started it"
    )


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
        choices=("always", "ask", "never", "show", "forget"),
        help="always: on save; ask: only when I ask; never; show: print what is remembered; "
        "forget: take back what “Allow … for this workspace” let pass",
    )


def _doctor(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    def run(arguments: argparse.Namespace) -> int:
        from backtrail_server.terminal import doctor

        return doctor.run(arguments.path)

    parser = _add(commands, "doctor", "Show what Backtrail would use here, and why.", run)
    parser.add_argument("path", type=Path, nargs="?", default=Path(), help="the workspace folder (.)")


def _study(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    def run(arguments: argparse.Namespace) -> int:
        from backtrail_server.terminal import study

        asked = study.Asked(
            data=study.paths(arguments.data),
            models=study.split(arguments.models),
            representations=study.split(arguments.representations),
            scaling=study.split(arguments.scaling),
            controls=study.split(arguments.controls),
            out=arguments.out,
            task=arguments.task,
            sample=arguments.sample,
            limit=arguments.limit,
            seed=arguments.seed,
            budget_s=arguments.budget,
            resume=arguments.resume,
            python=arguments.python,
            token=os.environ.get("BACKTRAIL_TOKEN", ""),
            allow_hosts=study.split(arguments.allow_hosts),
        )
        return study.run(asked)

    parser = _add(
        commands, "study", "Measure on a data set what traces and test-time scaling are worth.", run
    )
    parser.add_argument(
        "data", type=Path, nargs="+", help="HumanEvalPack-, MBPP-seed- or CRUXEval-shaped JSONL"
    )
    parser.add_argument(
        "--models",
        default="qwen2.5-coder-1.5b",
        help='names, folders, NAME+ADAPTER or URLs; "none" is without',
    )
    parser.add_argument("--representations", default="none,fact,slice", help='by name, or "all"')
    parser.add_argument(
        "--scaling", default="greedy", help="greedy, best-of-N, best-of-N-verified, refine-K, search"
    )
    parser.add_argument("--controls", default="rerun,shuffled", help='rerun, shuffled; "" for none')
    parser.add_argument(
        "--task",
        choices=("repair", "output", "explain"),
        default="repair",
        help="what is asked: a repair, what a call returns, or which line is wrong and why (repair)",
    )
    parser.add_argument("--sample", type=int, metavar="N", help="N items at random, under --seed")
    parser.add_argument("--limit", type=int, metavar="N", help="the first N of these")
    parser.add_argument("--seed", type=int, default=0, help="of the sample and of the models (0)")
    parser.add_argument("--budget", type=float, default=60.0, metavar="SECONDS", help="of one search (60)")
    parser.add_argument(
        "--out", type=Path, default=Path("study"), help="the folder of records and report (study)"
    )
    parser.add_argument("--resume", action="store_true", help="go on where an earlier run stopped")
    parser.add_argument("--python", type=Path, metavar="PATH", help="the interpreter that runs the items")
    parser.add_argument(
        "--allow-hosts", default="", help="hosts beyond this machine that the items may be sent to"
    )


def _tune(commands: argparse._SubParsersAction) -> None:  # type: ignore[type-arg]
    def run(arguments: argparse.Namespace) -> int:
        from backtrail_server.terminal import tune

        asked = tune.Asked(
            model=arguments.model,
            out=arguments.out,
            data=tuple(arguments.data),
            own=arguments.own,
            representation=arguments.representation,
            sample=arguments.sample,
            hold_out=arguments.hold_out,
            steps=arguments.steps,
            rank=arguments.rank,
            learning_rate=arguments.learning_rate,
            batch=arguments.batch,
            longest=arguments.longest,
            seed=arguments.seed,
            python=arguments.python,
        )
        return tune.run(asked)

    parser = _add(commands, "tune", "Train an adapter (QLoRA) on fixes that were verified.", run)
    parser.add_argument("data", type=Path, nargs="*", help="data sets with references, as for `study`")
    parser.add_argument("--own", action="store_true", help="learn from the fixes that you applied (fix.keep)")
    parser.add_argument("--model", default="smollm2-135m", help="as for `host` (smollm2-135m)")
    parser.add_argument("--out", type=Path, default=Path("adapter"), help="the adapter's folder (adapter)")
    parser.add_argument("--representation", default="slice", help="how facts are shown (slice)")
    parser.add_argument("--sample", type=int, metavar="N", help="N items of each data set, under --seed")
    parser.add_argument(
        "--hold-out", type=float, default=0.1, metavar="SHARE", help="only measured with (0.1)"
    )
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rank", type=int, default=8, help="of the adapter's matrices (8)")
    parser.add_argument("--learning-rate", type=float, default=2e-4)
    parser.add_argument("--batch", type=int, default=4, help="fixes in one step (4)")
    parser.add_argument(
        "--longest", type=int, default=1024, help="longer fixes are left out, in tokens (1024)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--python", type=Path, metavar="PATH", help="the interpreter that runs the items")
