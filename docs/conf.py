"""Sphinx configuration: MyST pages, the furo theme."""

import runpy
from pathlib import Path

project = "jobmaster"
author = "The jobmaster authors"
copyright = "The jobmaster authors"
release = runpy.run_path(str(Path(__file__).parents[1] / "jobmaster" / "_version.py"))["__version__"]
version = ".".join(release.split(".")[:2])

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
nitpicky = True

html_theme = "furo"
html_title = f"jobmaster {release}"
html_copy_source = False
