"""What was found in a data set, by split and file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from fastmri_clgnet.tables import format_table


class Finding(NamedTuple):
    """What was found in a file; k-space (slices, [coils,] rows, columns), () if unreadable."""

    path: Path
    kspace: tuple[int, ...]
    image: tuple[int, ...]
    errors: list[str]
    warnings: list[str]


class Split(NamedTuple):
    """What was found in the folder of a split, and in each of its files."""

    folder: Path
    findings: list[Finding]
    errors: list[str]
    warnings: list[str]


@dataclass(frozen=True)
class Findings:
    """What was found in a data set; printed as a table, with a line for each file and problem.

    Example:
        >>> finding = Finding(Path("a.h5"), (3, 64, 40), (32, 32), ["no attribute 'max'"], [])
        >>> findings = Findings([Split(Path("singlecoil_val"), [finding], errors=[], warnings=[])])
        >>> findings.good
        False
        >>> findings.as_dict()["splits"]["singlecoil_val"]["files"]["a.h5"]["errors"]
        ["no attribute 'max'"]
    """

    splits: list[Split]

    @property
    def good(self) -> bool:
        """Whether nothing is wrong; warnings do not affect it."""
        return not any(
            split.errors or any(finding.errors for finding in split.findings)
            for split in self.splits
        )

    def __str__(self) -> str:
        lines: list[str] = []
        for split in self.splits:
            lines.append(f"{split.folder}")
            lines += [f"  {text}" for text in split.errors]
            lines += [f"  warning: {text}" for text in split.warnings]
            if split.findings:
                cells = [("file", "k-space", "image", "result"), *_rows(split)]
                lines += [f"  {line}" for line in format_table(cells, n_left=4).splitlines()]
            lines.append("")
        findings = [finding for split in self.splits for finding in split.findings]
        bad = sum(bool(finding.errors) for finding in findings)
        folders = sum(bool(split.errors) for split in self.splits)
        warned = sum(len(one.warnings) for one in findings)
        warned += sum(len(split.warnings) for split in self.splits)
        lines.append(
            f"{len(findings)} files: {bad} with errors, {warned} warnings"
            + (f"; {folders} folders with errors" if folders else "")
        )
        return "\n".join(lines)

    def as_dict(self) -> dict[str, object]:
        """The same as plain values, {"good": ..., "splits": {folder: {..., "files": {...}}}}."""
        return {
            "good": self.good,
            "splits": {
                str(split.folder): {
                    "errors": split.errors,
                    "warnings": split.warnings,
                    "files": {
                        path.name: dict(zip(Finding._fields[1:], found, strict=True))
                        for path, *found in split.findings
                    },
                }
                for split in self.splits
            },
        }


def _rows(split: Split) -> Iterator[tuple[str, str, str, str]]:
    for finding in split.findings:
        problems = [*finding.errors, *(f"warning: {text}" for text in finding.warnings)]
        kspace, image = (" x ".join(map(str, shape)) for shape in (finding.kspace, finding.image))
        yield finding.path.name, kspace, image, (problems or ["good"])[0]
        for problem in problems[1:]:
            yield "", "", "", problem
