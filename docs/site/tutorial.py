"""Run the tutorial and store its outputs in it, so that its page shows them: ``python docs/site/tutorial.py``, half a minute.

Stored are the value of the last line of each cell and its figures, not what it printed.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import tempfile
import warnings
from pathlib import Path

import matplotlib
import pandas as pd

NOTEBOOK = Path(__file__).parents[1] / "own_cells.ipynb"
DOTS = 80  # per inch


def main() -> None:
    """Run the notebook and write it again."""
    text = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        run(text["cells"])
    NOTEBOOK.write_text(json.dumps(text, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def run(cells: list[dict]) -> dict[str, object]:
    """Run cells in the working directory, give each its outputs, and return the names that they define."""
    before, names = matplotlib.get_backend(), {}
    matplotlib.use("Agg")
    try:
        codes = [cell for cell in cells if cell["cell_type"] == "code"]
        for number, cell in enumerate(codes, 1):
            cell["execution_count"] = number
            cell["outputs"] = _outputs("".join(cell["source"]), names, number)
    finally:
        matplotlib.use(before)
    return names


def _outputs(code: str, names: dict[str, object], number: int) -> list[dict]:
    """Run the code of a cell; return its value and its figures as outputs of a notebook."""
    import matplotlib.pyplot as plt

    *body, last = ast.parse(code).body
    value = None
    with warnings.catch_warnings(action="ignore"), contextlib.redirect_stderr(io.StringIO()):
        exec(compile(ast.Module(body, []), "cell", "exec"), names)  # noqa: S102
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)  # noqa: S307
        else:
            exec(compile(ast.Module([last], []), "cell", "exec"), names)  # noqa: S102
    outputs = []
    if plt.get_fignums():
        for figure in map(plt.figure, plt.get_fignums()):
            picture = io.BytesIO()
            figure.savefig(picture, format="png", dpi=DOTS, bbox_inches="tight")
            data = {"image/png": base64.b64encode(picture.getvalue()).decode()}
            outputs.append({"output_type": "display_data", "data": data, "metadata": {}})
        plt.close("all")
    elif value is not None:
        data = {"text/plain": repr(value)}
        if isinstance(value, pd.DataFrame):
            data["text/html"] = value.to_html(border=0, float_format="{:.3f}".format)
        result = {"output_type": "execute_result", "execution_count": number}
        outputs.append(result | {"data": data, "metadata": {}})
    return outputs


if __name__ == "__main__":
    main()
