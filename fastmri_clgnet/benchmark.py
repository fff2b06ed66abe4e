"""The command `python -m fastmri_clgnet.benchmark NAME`: runs one benchmark."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Literal

from fastmri_clgnet import cli
from fastmri_clgnet.benchmarks.ablation import ablation
from fastmri_clgnet.benchmarks.robustness import robustness
from fastmri_clgnet.benchmarks.sizes import sizes
from fastmri_clgnet.benchmarks.speed import speed
from fastmri_clgnet.benchmarks.table1 import table1
from fastmri_clgnet.benchmarks.table2 import table2
from fastmri_clgnet.benchmarks.weights import weights
from fastmri_clgnet.flags import Flag, summary
from fastmri_clgnet.tables import Table

BENCHMARKS = {
    each.__name__: each for each in (ablation, sizes, table1, table2, speed, weights, robustness)
}
TRAINS = (ablation, sizes, table1)
PROG = "python -m fastmri_clgnet.benchmark"


def show(tables: Mapping[str, Table]) -> int:
    """Print tables; return exit status 1 if one of their trainings failed."""
    for table in tables.values():
        print(f"\n{table}")
    return int(any("failed" in row for table in tables.values() for row in table.rows.values()))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    given = list(sys.argv[1:] if argv is None else argv)
    texts = [f"{name}: {summary(each)}" for name, each in BENCHMARKS.items()]
    text = " ".join([*texts, "BENCHMARK --help shows the flags of one."])
    first = {"": {"benchmark": Flag(Literal[tuple(BENCHMARKS)], text=text)}}
    values, _ = cli.parse(given[:1], PROG, "Measure CLGNet.", first, ["benchmark"], rest=True)
    function = BENCHMARKS[values["benchmark"]]
    rest = "training_flags" if function in TRAINS else ""
    prog = f"{PROG} {function.__name__}"
    return cli.run(function, given[1:], prog=prog, rest=rest, then=show)


if __name__ == "__main__":
    sys.exit(main())
