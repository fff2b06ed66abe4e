"""Making a report: find, reconstruct, evaluate, choose slices, write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase

from fastmri_clgnet.errors import InputError, words
from fastmri_clgnet.files import atomic_path, expect_writable, write_json
from fastmri_clgnet.formats.fastmri import Challenge
from fastmri_clgnet.reporting.sources import command_line, find_sources, find_target_path

LIMIT_BYTES = 10_000_000
_TEXT_BYTES = 1_000_000  # reserved for everything but the slices


@dataclass(frozen=True)
class Report:
    """A report that was written; `str()` gives its path and size.

    Args:
        path: The page.
        n_bytes: Its size.
        figure: The figure, if requested.
        failures: One message for each file that could not be evaluated; also on the page.

    Example:
        >>> print(Report(Path("report.html"), n_bytes=1_500_000, figure=None, failures=[]))
        Report: report.html (1.5 MB)
    """

    path: Path
    n_bytes: int
    figure: Path | None
    failures: list[str]

    def __str__(self) -> str:
        lines = [] if self.figure is None else [f"Figure: {self.figure}"]
        lines.append(f"Report: {self.path} ({self.n_bytes / 1e6:.1f} MB)")
        if self.n_bytes > LIMIT_BYTES:
            limit = f"{LIMIT_BYTES / 1e6:g} MB"
            lines.append(f"It is larger than {limit}: ask for fewer slices or methods")
        return "\n".join(lines)


def report(
    paths: Sequence[Path | str],
    output: Path | str = Path("report.html"),
    *,
    target_path: Path | str | None = None,
    challenge: Challenge | None = None,
    labels: list[str] | None = None,
    slices: list[str] | None = None,
    figure: Path | str | None = None,
    zoom: tuple[int, int, int] | None = None,
    window: float = 1.0,
    blind: Path | str | None = None,
    title: str = "Reconstruction report",
    zero_filled: bool = True,
    device: str = "auto",
    num_processes: int = 1,
) -> Report:
    """Write one self-contained HTML page about runs of train_clgnet and reconstructions.

    It shows data, settings and commands, training curves, metrics with confidence intervals, and
    slices with error maps, a slider and a wipe. The validation volumes of a run are reconstructed
    if this has not been done yet.

    Args:
        paths: Run folders of train_clgnet, and folders of reconstructions; all others are compared
            with the first.
        output: The page.
        target_path: Folder of fully sampled files; by default the first run's validation files.
        challenge: Kind of data; by default that of the first file.
        labels: Names of the runs and folders.
        slices: Slices to show besides the worst, median and best by SSIM, as FILE:INDEX, counted
            from 0.
        figure: Also write this figure (.png or .pdf): the first of slices, else the median one,
            with methods in columns, errors below, and a part enlarged.
        zoom: Row, column and size of the part of the figure to enlarge, in pixels from the upper
            left; by default a quarter of the width, where the errors are largest.
        window: White on the page, as a fraction of the reference's 99.5th percentile: 0.15 shows
            the background, where bands are.
        blind: Make the page for a blind comparison: only slices, and only of the given paths. They
            are called A, B and so on, in an order that is drawn for each volume and written to this
            JSON file. Give readers the page without it.
        title: Heading of the page.
        zero_filled: Whether to add the zero-filled images.
        device: Device for reconstructing: auto, cpu, cuda, cuda:1, ...
        num_processes: Processes that share the evaluation.

    Returns:
        The page's path, and what could not be evaluated.

    Example:
        >>> import fastmri
        >>> from fastmri_clgnet import example_slice
        >>> from fastmri_clgnet.data import write_fastmri_file
        >>> scan = example_slice()
        >>> images = scan.images()
        >>> Path("DATA").mkdir()
        >>> write_fastmri_file("DATA/a.h5", scan.kspace, images)
        >>> fastmri.save_reconstructions({"a.h5": 0.9 * images}, Path("mine"))
        >>> made = report(["mine"], target_path="DATA", zero_filled=False)
        >>> made.path.name, made.failures
        ('report.html', [])

    Raises:
        InputError: If there is nothing to report about, or an argument does not fit.
    """
    given = locals()
    output, figure = Path(output), None if figure is None else Path(figure)
    if figure is not None and figure.suffix not in (".png", ".pdf"):
        raise InputError(f"figure {figure}: expected a name ending in .png or .pdf")
    if not 0 < window <= 1:
        raise InputError(f"window {window}: expected more than 0, and at most 1")
    if blind is not None and figure is not None:
        raise InputError(
            "blind and figure: the figure would show the hidden names; give one of them"
        )
    if blind is not None and Path(blind).exists():
        raise InputError(f"{blind}: exists, and may be the key of an earlier page; give another")
    if blind is not None and not 2 <= len(paths) <= len(ascii_uppercase):
        raise InputError(
            f"blind: needs several reconstructions, 2 to {len(ascii_uppercase)}; got {len(paths)}"
        )
    if num_processes < 1:
        raise InputError(f"num_processes {num_processes}: expected 1 or more")
    if zoom is not None and (min(zoom) < 0 or zoom[2] < 1):
        raise InputError(f"zoom {words(zoom)}: expected row, column and size within the image")
    for path in (output, figure, blind):
        if path is not None:
            expect_writable(Path(path))
    sources = find_sources([Path(path) for path in paths], labels)
    references = find_target_path(sources, None if target_path is None else Path(target_path))
    for text in slices or []:
        file, _, index = text.rpartition(":")
        if references is not None and not ((references / file).is_file() and index.isdigit()):
            raise InputError(
                f"slices {text}: expected FILE:INDEX, a file of {references} and its slice "
                "counted from 0"
            )
    from fastmri_clgnet.reporting.blind import hide
    from fastmri_clgnet.reporting.page import render
    from fastmri_clgnet.reporting.shown import Shown, gather, save_figure

    shown = Shown(["The first run's data is not at the path in its settings: no images are shown."])
    if references is not None:
        shown = gather(
            sources, references, challenge, slices or [], zero_filled and blind is None, device,
            num_processes, window,
        )  # fmt: skip
        if figure is not None:
            choice = shown.choices[0] if slices else shown.choices[1]
            save_figure(figure, shown.volumes[choice.file], choice, zoom)
    elif figure is not None or slices:
        raise InputError(
            "figure, slices: the first run's data is not at the path in its settings; give "
            "target_path, the folder of its fully sampled files"
        )
    failures = [] if shown.evaluation is None else shown.evaluation.failures
    command = command_line(report, given, ["paths"])
    names: dict[str, dict[str, str]] = {}
    if blind is not None:
        shown, names = hide(shown)
        sources, command = [], ""
    page = render(title, command, sources, references, shown, LIMIT_BYTES - _TEXT_BYTES).encode()
    with atomic_path(output) as path:
        path.write_bytes(page)
        if blind is not None:
            write_json(Path(blind), names)
    return Report(output, len(page), figure, failures)
