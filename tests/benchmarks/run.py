"""Measure the servers beside the empty SDK server and their rivals: `python tests/benchmarks/run.py --help`.

Real processes, spoken to as a host does, in several rounds that visit every server in turn. Read the ratios: the
figures themselves say as much about the machine as about the servers. What all servers share is in `measures`, what
one server does beside its own rivals in `comparisons/`, a module each.
"""

import argparse
import importlib
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from aims import SERVERS
from comparisons import Comparison, taken_in_turn
from measures import BENCHMARKS, python_floor
from profiles import KINDS, NoProfile, profile
from report import aims, as_json, as_page, table
from targets import YARDSTICK, Target, ours, targets

DEFAULT_ROUNDS = 7
FLOOR = "python -c pass"
sys.path.append(str(Path(__file__).parents[1]))  # comparisons use the emulators of the tests
sys.path.append(str(Path(__file__).parents[2] / "servers/drive/tests"))
COMPARISONS = sorted(path.stem for path in (Path(__file__).parent / "comparisons").glob("[a-z]*.py"))


def main() -> None:
    """Run the benchmarks and print the table, or make profiles."""
    options = _options()
    with tempfile.TemporaryDirectory() as directory:
        if options.profile:
            _profile(options.profile, Path(directory), options.profiles)
            return
        compared = _compare(options.names or [*BENCHMARKS, *COMPARISONS], Path(directory), options.rounds)
    sys.stdout.write("\n".join([*map(table, compared.values()), aims(compared)]))
    if options.json:
        options.json.write_text(as_json(compared, options.rounds))
    if options.page:
        options.page.write_text(as_page(compared, options.rounds))


def _options() -> argparse.Namespace:
    known = [*BENCHMARKS, *COMPARISONS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="name", help=f"benchmarks to run: {', '.join(known)} (all)")
    parser.add_argument("--rounds", type=int, default=DEFAULT_ROUNDS, help="default: %(default)s, and one to warm up")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to FILE")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write what is printed to FILE, as Markdown")
    parser.add_argument("--profile", choices=KINDS, help="instead, show where our servers' time goes")
    parser.add_argument("--profiles", type=Path, metavar="DIR", default=Path(), help="where profiles go (here)")
    options = parser.parse_args()
    if unknown := set(options.names) - set(known):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; choose from {', '.join(known)}")
    return options


def _profile(kind: str, directory: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for target in ours(directory):
        try:
            sys.stdout.write(profile(kind, target, folder) + "\n")
        except NoProfile as reason:
            sys.stdout.write(f"{target.name}: no profile: {reason}\n")


def _compare(names: list[str], directory: Path, rounds: int) -> dict[str, Comparison]:
    compared: dict[str, Comparison] = {}
    if shared := [name for name in names if name in BENCHMARKS]:
        skipped: dict[str, str] = {}
        compared[SERVERS] = _measure(targets(directory, skipped), shared, rounds, skipped)
    for name in (name for name in names if name in COMPARISONS):
        sys.stderr.write(f"{name}\n")
        compared[name] = importlib.import_module(f"comparisons.{name}").compare(rounds)
    return compared


def _measure(servers: list[Target], names: list[str], rounds: int, skipped: dict[str, str]) -> Comparison:
    def measured(target: Target) -> dict[str, float]:
        return {measure: figure for name in names for measure, figure in BENCHMARKS[name](target).items()}

    sides: dict[str, Callable[[], dict[str, float]]] = {target.name: partial(measured, target) for target in servers}
    if "cold-start" in names:
        sides[FLOOR] = lambda: {"cold start, handshake (ms)": python_floor()}
    return Comparison(YARDSTICK, taken_in_turn(sides, rounds, skipped), skipped)


if __name__ == "__main__":
    main()
