"""Pictures of the tutorials: figures that an example keeps in its variables."""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst

_seen: WeakSet[Figure] = WeakSet()


def figures(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Save the new figures of a block of an example; gives their reStructuredText."""
    values = block_vars["example_globals"].values()
    new = {id(each): each for each in values if isinstance(each, Figure) and each not in _seen}
    paths = []
    for figure in new.values():
        _seen.add(figure)
        path = str(next(block_vars["image_path_iterator"]))
        figure.savefig(path)
        paths.append(path)
    return str(figure_rst(paths, gallery_conf["src_dir"]))
