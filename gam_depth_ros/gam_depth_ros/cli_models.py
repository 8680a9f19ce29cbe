"""``gam-depth models``: which models there are, and how one gets here."""

from __future__ import annotations

import re
import shlex
import textwrap
from pathlib import Path
from typing import Annotated

import typer
import yaml
from rich.markup import escape
from rich.table import Table

from gam_depth_ros.cli_common import fetch_with_progress, one_line_errors, out_console
from gam_depth_ros.cli_types import command
from gam_depth_ros.core.model_file import ModelFile, default_model_path, read_model_file
from gam_depth_ros.core.model_spec import METADATA_KEY, ModelContractError, ModelSpec
from gam_depth_ros.model_list import (
    ModelEntry,
    ModelListError,
    NotFetchedError,
    list_paths,
    read_lists,
    url_allowed,
)
from gam_depth_ros.model_names import find_model, local_file

HERE, CACHED, NOT_FETCHED, REFUSED = "here", "cached", "not fetched", "refused"
_UNKNOWN = "–"

app = typer.Typer(
    help="List the models that have a name, fetch one, or write a list's entry for a file.",
    invoke_without_command=True,
)


@app.callback()
def models(context: typer.Context) -> None:
    """List the models that have a name, fetch one, or write a list's entry for a file."""
    if context.invoked_subcommand is not None:
        return
    with one_line_errors():
        paths = list_paths()
        entries = read_lists(paths)
        default = (find_model(None) or default_model_path()).resolve()
        table = Table(box=None, pad_edge=False, header_style="dim")
        table.add_column("model", no_wrap=True)
        table.add_column("MB", justify="right", no_wrap=True)
        for heading in ("input", "precision", "licence", "file"):
            table.add_column(heading, no_wrap=heading != "licence")
        remarks = []
        for entry in entries.values():
            cells, remark = _row(entry, default in _places(entry))
            table.add_row(*map(escape, cells))
            remarks.append(remark)
    out_console.print(table)
    for remark in filter(None, remarks):  # a table would cut the paths
        out_console.print(escape(remark), soft_wrap=True, highlight=False)
    for path in paths:
        out_console.print(f"[dim]listed in {escape(str(path))}[/dim]", soft_wrap=True)
    if not any(default in _places(entry) for entry in entries.values()):
        out_console.print(f"[dim]the default is {escape(str(default))}[/dim]", soft_wrap=True)


@app.command()
def fetch(name: Annotated[str, typer.Argument(help="A listed model.")]) -> None:
    """Fetch a listed model into the cache, held to its SHA-256; one that is here stays."""
    with one_line_errors():
        entries = read_lists(list_paths())
        entry = entries.get(name)
        if entry is None:
            raise ModelListError(
                f"models: got '{name[:80]}', expected one of {', '.join(entries) or 'no names'}; "
                "see `gam-depth models`"
            )
        try:
            path = local_file(entry)
        except ModelListError:
            if not entry.url or (entry.file is not None and entry.file.exists()):
                raise
            path = fetch_with_progress(entry)
    out_console.print(escape(str(path)), soft_wrap=True, highlight=False)


@app.command(name="hash")
@command
def print_entry(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A model.")],
    url: Annotated[
        str | None, typer.Option(help="Where others can fetch it; else it lies beside the list.")
    ] = None,
) -> None:
    """Print the entry of a models.yaml for a model file."""
    with one_line_errors():
        model = read_model_file(file)
        spec = _spec(model)
        if url is not None and not url_allowed(url):
            raise ModelListError(
                f"--url: got '{url[:80]}', expected https://HOST/... or file:///...; correct it"
            )
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", spec.name).strip("._-")[:64]
        entry = {
            "name": name or "my-model",
            **({"file": file.name} if url is None else {"url": url}),
            "sha256": model.sha256,
            "bytes": len(model.data),
            "licence": " ".join(spec.licence.split()),
        }
    text = yaml.safe_dump([entry], sort_keys=False, allow_unicode=True, width=10_000)
    where = f"in {shlex.quote(str(file.absolute().parent))}" if url is None else "anywhere"
    typer.echo(f"# below `models:` of a models.yaml {where}")
    typer.echo(textwrap.indent(text, "  "), nl=False)


def _row(entry: ModelEntry, is_default: bool) -> tuple[list[str], str]:
    """Return the cells of one model, and its path or what is wrong with it."""
    licence = entry.licence or _UNKNOWN
    cells = [entry.name, _megabytes(entry.size_bytes), _UNKNOWN, _UNKNOWN, licence]
    try:
        path = local_file(entry)
        model = read_model_file(path)
        spec = _spec(model)
    except NotFetchedError:
        return [*cells, NOT_FETCHED], ""
    except (ModelListError, ModelContractError) as error:
        return [*cells, REFUSED], str(error)
    size = "×".join(map(str, spec.input_size_hw))
    where = HERE if path == entry.file else CACHED
    licence = entry.licence or spec.licence
    cells = [entry.name, _megabytes(len(model.data)), size, _precision(model), licence, where]
    return cells, f"{entry.name}{', the default' if is_default else ''}: {path}"


def _places(entry: ModelEntry) -> list[Path]:
    places = [] if entry.file is None else [entry.file]
    return [path.resolve() for path in (*places, *([entry.cached] if entry.url else []))]


def _spec(model: ModelFile) -> ModelSpec:
    text = model.metadata.get(METADATA_KEY)
    if text is None:
        raise ModelContractError(
            f"model file {model.path}: got no '{METADATA_KEY}' in its metadata, expected a model "
            "written by `gam-depth-train export`; export the model again"
        )
    return ModelSpec.from_json(text)


def _precision(model: ModelFile) -> str:
    """Return the arithmetic that the file asks for, and its weights where they are stored apart."""
    half = "float16" if model.computes_in_float16 else "float32"
    arithmetic = "int8" if model.computes_in_int8 else half
    weights = model.stored_weights
    return arithmetic if weights in (arithmetic, "float32") else f"{arithmetic}, weights {weights}"


def _megabytes(size_bytes: int | None) -> str:
    return _UNKNOWN if size_bytes is None else f"{size_bytes / 1e6:.1f}"
