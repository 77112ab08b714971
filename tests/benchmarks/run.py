"""Measure the servers beside the empty SDK server and their npm peers: `python tests/benchmarks/run.py --help`.

Real processes, spoken to as a host does, in several rounds that visit every server in turn. Read the ratios: the
figures themselves say as much about the machine as about the servers.
"""

import argparse
import json
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median

from client import ServerFailed
from measures import BENCHMARKS, python_floor
from targets import YARDSTICK, Target, targets

DEFAULT_ROUNDS = 7
FLOOR = "python -c pass"

Samples = dict[str, dict[str, list[float]]]
"""Measure, then server, then one figure a round."""


def main() -> None:
    """Run the benchmarks and print the table."""
    options = _options()
    with tempfile.TemporaryDirectory() as directory:
        samples, skipped = _measure(targets(Path(directory)), options.names or list(BENCHMARKS), options.rounds)
    sys.stdout.write(_table(samples, skipped))
    if options.json:
        options.json.write_text(_json(samples, skipped, options.rounds))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="name", help=f"benchmarks to run: {', '.join(BENCHMARKS)} (all)")
    parser.add_argument("--rounds", type=int, default=DEFAULT_ROUNDS, help="default: %(default)s, and one to warm up")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to FILE")
    options = parser.parse_args()
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; choose from {', '.join(BENCHMARKS)}")
    return options


def _measure(servers: list[Target], names: list[str], rounds: int) -> tuple[Samples, dict[str, str]]:
    samples: Samples = defaultdict(lambda: defaultdict(list))
    skipped: dict[str, str] = {}
    for number in range(rounds + 1):
        sys.stderr.write(f"round {number} of {rounds}\n" if number else "warming up\n")
        for target in servers:
            if target.name in skipped:
                continue
            try:
                figures = [figure for name in names for figure in BENCHMARKS[name](target).items()]
            except ServerFailed as error:
                skipped[target.name] = str(error)
                continue
            for measure, value in figures if number else ():  # the first round compiles byte-code
                samples[measure][target.name].append(value)
        if number and "cold-start" in names:
            samples["cold start, handshake (ms)"][FLOOR].append(python_floor())
    return samples, skipped


def _table(samples: Samples, skipped: dict[str, str]) -> str:
    lines: list[str] = []
    for measure, servers in samples.items():
        lines.append(f"\n{measure:<44}{'median':>10}{'lowest':>10}{'highest':>10}{'ratio':>8}")
        yardstick = median(servers[YARDSTICK]) if YARDSTICK in servers else None
        for name, values in servers.items():
            ratio = f"{median(values) / yardstick:>8.2f}" if yardstick else ""
            figures = "".join(f"{figure:>10,.{0 if figure >= 100 else 1}f}" for figure in _summary(values))
            lines.append(f"  {name:<42}{figures}{ratio}")
    lines.append(f"\nratio: to the {YARDSTICK}")
    lines.extend(f"skipped: {name} {reason}" for name, reason in skipped.items())
    return "\n".join(lines).lstrip("\n") + "\n"


def _summary(values: list[float]) -> tuple[float, float, float]:
    return median(values), min(values), max(values)


def _json(samples: Samples, skipped: dict[str, str], rounds: int) -> str:
    measures = {
        measure: {
            name: dict(zip(("median", "lowest", "highest"), _summary(values), strict=True)) | {"rounds": values}
            for name, values in servers.items()
        }
        for measure, servers in samples.items()
    }
    return json.dumps({"rounds": rounds, "measures": measures, "skipped": skipped}, indent=2) + "\n"


if __name__ == "__main__":
    main()
