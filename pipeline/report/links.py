"""Where the MLflow UI shows the comparison: views that the log stage prepares, and their addresses.

MLflow opens on its pages for language-model applications, without a column of ours. A view is a tag of the experiment:
the search, columns and charts that `viewStateShareKey` in an address asks for, as the button *Share* of MLflow 3.17
writes it.
"""

import json
from collections.abc import Mapping
from typing import Any

from pipeline.files import read_json
from pipeline.project.paths import REPORTS, DatasetPaths
from pipeline.project.store import is_server, shown, tracking_uri

UI_PORT = 5000
VIEW = "mlflow.sharedViewState."
# Widths in pixels; at 1280, beside MLflow's assistant, there is room for all but the last.
_COLUMNS = {
    "attributes.`Run Name`": 190,
    "runDateAndNestInfo": 105,
    "metrics.`qwk`": 80,
    "metrics.`mae`": 80,
    "params.`features`": 125,
    "params.`model`": 115,
    "duration": 80,
}
_CURVE = {
    "uuid": "qwk",
    "type": "LINE",
    "metricKey": "qwk",
    "selectedMetricKeys": ["qwk"],
    "displayName": "qwk",
    "metricSectionId": "curves",
    "xAxisKey": "step",
    "xAxisScaleType": "log",
    "scaleType": "linear",
    "useGlobalXaxisKey": False,
    "lineSmoothness": 0,
    "yAxisKey": "metric",
    "yAxisExpressions": [],
    "range": {},
}
_SECTIONS = [
    {"uuid": "curves", "name": "Learning curves", "display": True, "columns": 1, "cardHeight": 480},
    {"uuid": "others", "name": "Model metrics", "display": False, "isGenerated": True},
]


def views(upload: str) -> dict[str, str]:
    """Return the tags of the experiment that hold the views of one upload.

    Examples
    --------
    >>> list(views("12ab"))
    ['mlflow.sharedViewState.12ab', 'mlflow.sharedViewState.12ab-curves']
    """
    of_upload = f"tags.upload = '{upload}' AND tags"
    table = _view(f"{of_upload}.level = 'child'")
    curves = _view(f"{of_upload}.kind = 'side'")
    return {f"{VIEW}{upload}": table, f"{VIEW}{upload}-curves": curves}


def _view(search: str) -> str:
    view = {
        "searchFilter": search,
        # Sides before lines, within them the youngest run first. In the order of time the children are folded away.
        "orderByKey": "tags.`kind`",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "selectedColumns": [name for name in _COLUMNS if name.startswith(("metrics", "params"))],
        "columnOrder": list(_COLUMNS),
        "columnWidths": _COLUMNS,
        "runsHiddenMode": "FIRST_20_RUNS",
        "compareRunCharts": [_CURVE],
        "compareRunSections": _SECTIONS,
    }
    return json.dumps(view)


def comparison(experiment: str, upload: str, *, curves: bool = False) -> str:
    """Return the address, on any server, of the table of one upload, or of the learning curves of its sides.

    Examples
    --------
    >>> comparison("1", "12ab")
    '#/experiments/1/runs?workflowType=machine_learning&viewStateShareKey=12ab'
    """
    end = "-curves&compareRunsMode=CHART" if curves else ""
    return f"#/experiments/{experiment}/runs?workflowType=machine_learning&viewStateShareKey={upload}{end}"


def run_page(experiment: str, run_id: str) -> str:
    """Return the address, on any server, of the page of a run.

    Examples
    --------
    >>> run_page("1", "34cd")
    '#/experiments/1/runs/34cd?workflowType=machine_learning'
    """
    return f"#/experiments/{experiment}/runs/{run_id}?workflowType=machine_learning"


def where_to_look(dataset: str) -> str:
    """Say how the last log of a dataset is seen; nothing where there is none."""
    runs = read_json(DatasetPaths(dataset).runs)
    if "experiment" not in runs:
        return ""
    if is_server(runs["uri"]):
        return f"MLflow shows the comparison at\n{_links(runs, runs['uri'])}"
    return f"make ui (python -m pipeline ui), then open\n{_links(runs, local(UI_PORT))}"


def links_to_all(address: str) -> str:
    """Return the links to the last log of each dataset that was sent to today's store; one dataset a paragraph."""
    newest_first = sorted(REPORTS.glob("*/runs.json"), key=lambda file: file.stat().st_mtime, reverse=True)
    logs, here = {file.parent.name: read_json(file) for file in newest_first}, shown(tracking_uri())
    found = [
        f"{dataset}\n{_links(runs, address)}"
        for dataset, runs in logs.items()
        if "experiment" in runs and runs.get("uri") == here
    ]
    return "\n".join(found) or f"  {address}"


def local(port: int) -> str:
    """Return the address of the UI on this machine."""
    return f"http://127.0.0.1:{port}"


def _links(runs: Mapping[str, Any], address: str) -> str:
    of = runs["experiment"], runs["upload"]
    base = address.rstrip("/")
    return f"  table:  {base}/{comparison(*of)}\n  curves: {base}/{comparison(*of, curves=True)}"
