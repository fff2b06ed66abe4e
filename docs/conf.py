"""Sphinx builds the documentation: `python -m sphinx -n -W -b html docs docs/_build/html`.

Add `-D plot_gallery=0` to build without running the examples.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import matplotlib  # noqa: E402
import yaml  # noqa: E402

matplotlib.use("agg")

import generated  # noqa: E402

import fastmri_clgnet  # noqa: E402
from fastmri_clgnet.weights import shipped  # noqa: E402

citation = yaml.safe_load((HERE.parent / "CITATION.cff").read_text(encoding="utf-8"))
project = citation["title"]
author = ", ".join(each["name"] for each in citation["authors"])
release = fastmri_clgnet.__version__
copyright = f"{author}. {citation['license']} licence. Version {release}"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
html_theme = "furo"
html_title = f"{project} {release}"
# both are drawn by docs/figures/logo.py
html_logo = "_static/logo.png"
html_favicon = "_static/favicon.png"
html_static_path = ["_static"]
html_css_files = ["site.css"]

myst_enable_extensions = ["colon_fence", "substitution"]
myst_substitutions = {"about": f"Version {release}, {citation['license']} licence, by {author}"}
myst_heading_anchors = 3

# docstrings use single backticks for code
default_role = "code"
autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_preserve_defaults = True
napoleon_use_rtype = False
# references are checked within this project; other libraries' pages need a network
nitpick_ignore_regex = [(r"py:.*", r"(?!fastmri_clgnet\.|banding\.).*")]

# of the extensions, not of these pages
warnings.filterwarnings("ignore", category=PendingDeprecationWarning)

copybutton_exclude = ".linenos, .gp, .go"


sphinx_gallery_conf = {
    "examples_dirs": ["../examples"],
    "gallery_dirs": ["tutorials"],
    # an example that needs shipped weights is shown, but not run, where there are none
    "filename_pattern": r"/plot_" if shipped() else r"/plot_(?!1_shipped|7_raw)",
    "image_scrapers": ("gallery.figures",),
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_memory": False,
    "only_warn_on_example_error": False,
    "abort_on_example_error": True,
}


def setup(app: Any) -> None:
    """Write the pages that are made from the code, and prepare docstrings."""
    app.connect("builder-inited", lambda _: generated.write_pages(HERE), priority=1)
    app.connect("autodoc-process-docstring", generated.literal_formulas, priority=1)
