"""Sphinx settings of the pages: the gallery of executed examples. Nothing is fetched from the network."""

from pipeline import __version__

project = "T-method vs attention"
author = copyright = "The T-method vs attention developers"  # noqa: A001 - Sphinx reads this name
release = __version__
language = "en"

extensions = ["sphinx_gallery.gen_gallery"]
# The scripts and their README are read by sphinx-gallery, which writes the pages to gallery/.
exclude_patterns = ["_build", "examples"]

html_theme = "pydata_sphinx_theme"
html_title = project
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_context = {"default_mode": "auto"}
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc", "sg_download_links"],
    "show_prev_next": True,
}
# The few pages are reached from the gallery; code needs the width.
html_sidebars = {"**": []}

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "within_subsection_order": "FileNameSortKey",
    # A chart as the last value of a block is shown as a picture, not as the name of an object.
    "ignore_repr_types": r"matplotlib|pipeline\.taguchi\.plots",
    "remove_config_comments": True,
    "show_signature": False,
    # A script that has not changed runs anew all the same: the package may have.
    "run_stale_examples": True,
    # Times differ from run to run; each page tells its own.
    "write_computation_times": False,
}
