"""Sphinx settings of the site: pages, executed examples and the API, in three languages. Nothing is fetched."""

import posixpath
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx import addnodes
from sphinx.application import Sphinx

from pipeline import __version__

project = "T-method vs attention"
author = copyright = "The T-method vs attention developers"  # noqa: A001 - Sphinx reads this name
release = __version__
language = "en"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_gallery.gen_gallery",
]
# The scripts and their README are read by sphinx-gallery, which writes the pages to gallery/.
exclude_patterns = ["_build", "examples"]
templates_path = ["_templates"]

# The Markdown pages are written for GitHub too: its formulas, and its anchors of headings.
myst_enable_extensions = ["dollarmath", "html_image"]
myst_dmath_allow_space = myst_dmath_allow_digits = False
myst_heading_anchors = 4
html_math_renderer = "mathml"

# Names in backticks are links where there is such a name, as in scikit-learn's docstrings.
default_role = "py:obj"
add_module_names = False
autodoc_typehints = "none"
autosummary_generate = True
napoleon_google_docstring = False
# Attributes as a list, as parameters are: entries of their own would stand twice where a property has a docstring.
napoleon_custom_sections = [("Attributes", "params_style")]
napoleon_use_param = napoleon_use_rtype = False

html_theme = "pydata_sphinx_theme"
html_title = project
html_show_sourcelink = False
html_static_path = ["_static"]
# The rendered report of the embedded sample, as it is.
html_extra_path = ["sample-report.html"]
html_css_files = ["style.css"]
html_context = {"default_mode": "auto"}
html_theme_options = {
    "navbar_center": ["navigation"],
    "navbar_persistent": ["search-button"],
    "navbar_end": ["languages", "theme-switcher"],
    "secondary_sidebar_items": ["page-toc", "sg_download_links"],
    "show_prev_next": True,
}
# The few pages are reached from the bar above them; code needs the width.
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

# Formulas -------------------------------------------------------------------------------------------------------------


def math(translator: Any, node: nodes.math | nodes.math_block) -> None:
    """Write a formula as MathML, which browsers draw by themselves: MathJax would come from the network."""
    as_block = isinstance(node, nodes.math_block)
    formula = tex2mathml(node.astext(), as_block=as_block)
    translator.body.append(f'<div class="formula">{formula}</div>' if as_block else formula)
    raise nodes.SkipNode


# Links ----------------------------------------------------------------------------------------------------------------

ROOT = Path(__file__).parents[1]
# Pages that are files of the repository's root.
OF_ROOT = {"changelog": "CHANGELOG.md", "README": "README.md"}


def page_of(path: str) -> str:
    """Return the page that a file of the repository is made into, whether there is such a page or not."""
    names = {name: page for page, name in OF_ROOT.items()} | {"docs/examples": "gallery/index"}
    path = path.replace("docs/examples/", "docs/gallery/")
    return names.get(path, path.removeprefix("docs/").removesuffix(".md").removesuffix(".py"))


def link(app: Sphinx, page: str, source: list[str]) -> None:
    """Turn links between files, made for GitHub, into links between pages; of links to other files keep the text."""
    if Path(app.env.doc2path(page)).suffix != ".md":
        return
    file = OF_ROOT.get(page, f"docs/{page}.md")
    if page in OF_ROOT:
        source[0] = (ROOT / file).read_text(encoding="utf-8").replace("](docs/pictures/", "](pictures/")

    def linked(found: re.Match[str]) -> str:
        path, _, anchor = found["target"].partition("#")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(file), path))
        target = page_of(path)
        if (extra := path.removeprefix("docs/")) in html_extra_path:
            return f'<a href="{posixpath.relpath(extra, posixpath.dirname(page) or ".")}">{found["text"]}</a>'
        if target not in app.env.found_docs:
            return found["text"]
        kind = ".rst" if target.startswith("gallery/") else ".md"
        address = posixpath.relpath(target, posixpath.dirname(page) or ".") + kind
        return f"[{found['text']}]({address}{'#' * bool(anchor)}{anchor})"

    source[0] = re.sub(r"(?<!!)\[(?P<text>[^]\n]*)\]\((?!\w+:|#)(?P<target>[^)\s]+)\)", linked, source[0])


# Languages ------------------------------------------------------------------------------------------------------------

LANGUAGES = {"en": "English", "ja": "日本語", "zh": "中文"}
# What the bar above a translated page calls its neighbours, in this order.
LABELS = {
    "README": {"ja": "はじめに", "zh": "从这里开始"},
    "first-steps-quality": {"ja": "入門（品質工学）", "zh": "入门（质量工程）"},
    "first-steps-nlp": {"ja": "入門（言語処理）", "zh": "入门（语言处理）"},
    "t-method": {"ja": "T法", "zh": "T法"},
    "attention": {"ja": "注意機構", "zh": "注意力"},
    "comparison": {"ja": "比較", "zh": "比较"},
    "parts": {"ja": "部品", "zh": "组件"},
    "extend": {"ja": "追加", "zh": "扩展"},
}


def language_of(page: str) -> str:
    """Return the language of a page: that of its folder."""
    folder = page.partition("/")[0]
    return folder if folder in LANGUAGES else "en"


def translations(code: str, pages: set[str]) -> list[str]:
    """Return the pages in a language, in the order of the bar; the first one is its front page."""
    return [f"{code}/{name}" for name in LABELS if f"{code}/{name}" in pages]


def in_language(page: str, code: str, pages: set[str]) -> str:
    """Return the page in a language, or the front page of that language where it is not translated."""
    if code == language_of(page):
        return page
    name = page.removeprefix(f"{language_of(page)}/")
    if code == "en":
        return name if name in pages else "index"
    return f"{code}/{name}" if f"{code}/{name}" in pages else translations(code, pages)[0]


def speak(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Give a page its language, the links to the other languages, and the navigation of its language."""
    code, pages = language_of(page), app.env.found_docs
    context["language"] = code
    context["languages"] = [(each, name, in_language(page, each, pages)) for each, name in LANGUAGES.items()]
    (main, *_) = app.env.tocs["index"].findall(addnodes.toctree)
    entries = (
        main["entries"]
        if code == "en"
        else [(LABELS[name.partition("/")[2]][code], name) for name in translations(code, pages)]
    )
    parent = app.env.collect_relations().get(page, [None])[0]
    context["navigation"] = [(title, name, name in {page, parent}) for title, name in entries]


# Names of the API -----------------------------------------------------------------------------------------------------


def skip(app: Sphinx, kind: str, name: str, member: Any, skipped: bool, options: Any) -> bool | None:
    """Leave out what a class inherits from scikit-learn and other libraries: they document it."""
    defined = getattr(member, "fget", None) or getattr(member, "__func__", None) or member
    module = getattr(defined, "__module__", None) or "pipeline"
    return True if not module.startswith("pipeline") or re.fullmatch("set_.*_request", name) else None


def setup(app: Sphinx) -> None:
    """Add what this file defines to Sphinx."""
    app.add_html_math_renderer("mathml", (math, None), (math, None))
    app.connect("source-read", link)
    app.connect("html-page-context", speak)
    app.connect("autodoc-skip-member", skip)
