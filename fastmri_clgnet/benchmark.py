"""The command `python -m fastmri_clgnet.benchmark`: its first word says which benchmark."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence

from fastmri_clgnet import cli
from fastmri_clgnet.benchmarks.ablation import ablation
from fastmri_clgnet.benchmarks.speed import speed
from fastmri_clgnet.benchmarks.table1 import table1
from fastmri_clgnet.benchmarks.table2 import table2
from fastmri_clgnet.benchmarks.weights import weights
from fastmri_clgnet.tables import Table

BENCHMARKS = {each.__name__: each for each in (ablation, table1, table2, speed, weights)}
TRAINS = (ablation, table1)


def show(tables: Mapping[str, Table]) -> int:
    """Print tables; the exit status is 1 if a training in them failed."""
    for table in tables.values():
        print(f"\n{table}")
    return int(any("failed" in row for table in tables.values() for row in table.rows.values()))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    given = list(sys.argv[1:] if argv is None else argv)
    prog = "python -m fastmri_clgnet.benchmark"
    lines = [
        f"  {name:10}{(each.__doc__ or '').splitlines()[0]}" for name, each in BENCHMARKS.items()
    ]
    parser = cli.Parser(
        prog=prog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="\n".join(["Measure CLGNet:\n", *lines]),
    )
    parser.add_argument("benchmark", choices=BENCHMARKS, help="each has flags: BENCHMARK --help")
    name = parser.parse_args(given[:1]).benchmark
    function = BENCHMARKS[name]
    rest = "training_flags" if function in TRAINS else ""
    return cli.run(function, given[1:], prog=f"{prog} {name}", rest=rest, then=show)


if __name__ == "__main__":
    sys.exit(main())
