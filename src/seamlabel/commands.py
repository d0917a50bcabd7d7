"""What each command of the command line does, once its arguments are parsed."""

from __future__ import annotations

import json
import sys
from dataclasses import fields
from functools import partial
from importlib import import_module
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any, get_type_hints

from seamlabel import parameters, registry
from seamlabel.errors import Problem, SeamlabelError, SpecError
from seamlabel.functions import is_target, load_function
from seamlabel.merge_command import follow
from seamlabel.region import parse_region
from seamlabel.signatures import checked_keywords, keywords_of
from seamlabel.spec import RunSpec

if TYPE_CHECKING:
    from argparse import Namespace

    from seamlabel.plan import Plan

ANYTHING = 1e9
"""From here on a limit is none that anybody meets."""


def sample(args: Namespace) -> int:
    """Make a sample image."""
    from seamlabel import api

    shape = _numbers("shape", args.shape) if args.shape else None
    path = api.sample(args.out, shape, args.cells, seed=args.seed, overwrite=args.overwrite)
    print(path)
    return 0


def backends(args: Namespace) -> int:
    """List the backends, or one with its parameters."""
    if args.name is None:
        for record in registry.backends().values():
            state = f"not installed: {record.install}" if record.missing else record.description
            print(f"{record.name:<12} {state}")
        print("\nParameters of one: seamlabel backends NAME")
        return 0
    if is_target(args.name):
        return _list(keywords_of(load_function(args.name, purpose="takes pixels and returns labels")))
    record = registry.backend(args.name)
    print(f"{record.title}. {record.description}")
    if record.missing:
        print(f"Not installed. Install with: {record.install}")
    return _list(record.params_type())


def _list(kind: type[Any]) -> int:
    """Print parameters, one a line."""
    hints = get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        about = parameters.options(hints[field.name])
        setting = f"{field.name}={parameters.default_text(field)}"
        print(f"  --set {setting:<22} {about.get('tooltip', '')}{_limits(hints[field.name], about)}")
    return 0


def _limits(hint: Any, about: dict[str, Any]) -> str:
    """Return what a parameter may be, in brackets; nothing if there is nothing to say."""
    choices = parameters.choices(hint)
    if choices:
        return f" [{' or '.join(map(str, choices))}]"
    unit = f" {about['unit']}" if about.get("unit") else ""
    low, high = about.get("min"), about.get("max")
    bounds = ""
    if low is not None and high is not None and low > -ANYTHING:
        bounds = f"{low:,.15g} " + (f"to {high:,.15g}" if high < ANYTHING else "or more")
    return f" [{bounds}{unit}]".replace("[ ", "[") if bounds or unit else ""


def segment(args: Namespace) -> int:
    """Segment an image; with ``--plan`` only say what would be done."""
    from seamlabel.engine.claim import planned
    from seamlabel.io.run_files import save_run_file
    from seamlabel.io.sources import image_info
    from seamlabel.overlap_needs import with_overlap
    from seamlabel.plan import resolve
    from seamlabel.results import carry_out

    spec = _spec(args)
    if spec.image is None:
        raise SpecError([Problem("image", "none given", "Give the path of an OME-Zarr, or of another file")])
    goes_on = not (args.restart or args.plan)
    plan = (planned if goes_on else resolve)(spec, image_info(spec.image, axes=spec.axes, output=spec.output))
    plan = with_overlap(plan, spec.image)
    if args.save_spec:
        save_run_file(args.save_spec, spec)
    if args.plan:
        print(plan.spec.to_json() if args.json else plan.summary(), flush=True)
        _try_parts(plan)
        return 0
    if not args.quiet and not args.json:
        print(plan.summary(), file=sys.stderr)
    if plan.asked is not None:
        print(f"seamlabel: going on with the unfinished run in {plan.run_dir}", file=sys.stderr)
    unfinished = "restart" if args.restart else "resume"
    call = partial(carry_out, plan, keep=args.keep, unfinished=unfinished, retry=True)
    return follow(args, call, run_dir=plan.run_dir)


def _try_parts(plan: Plan) -> None:
    """Raise what a run would refuse before its first tile, though the plan itself is sound."""
    from seamlabel.engine.rules import seam_rule
    from seamlabel.engine.skipping import find_mask
    from seamlabel.io.tables import check_table

    seam_rule(plan.spec.merge)
    if target := getattr(plan.params, "target", None):
        function = load_function(target, purpose="takes pixels and returns labels")
        checked_keywords(function, plan.params.keywords)
    find_mask(plan, None)
    if plan.spec.table:
        check_table(plan.spec.table)


_SAME = (
    *("image", "axes", "level", "planes", "min_size", "max_size", "drop_border", "skip_empty", "skip_level"),
    *("fill_holes", "table", "steps"),
    *("name", "output", "overwrite", "executor", "scheduler", "workers", "retries", "timeout"),
)
"""Options that are fields of the spec as they are."""


def _spec(args: Namespace) -> RunSpec:
    """Return the run file, if one is given, changed by the options that are given."""
    from seamlabel.engine.rules import check_threshold
    from seamlabel.io.run_files import load_run_file

    base = load_run_file(args.spec).model_dump() if args.spec else {}
    given = {
        "channels": channels(args.channels) if args.channels else None,
        **{name: getattr(args, name) for name in _SAME},
        "tile_shape": sizes("tile_shape", args.tile),
        "overlap": sizes("overlap", args.overlap),
        "region": [_box(text) for text in args.region] if args.region else None,
    }
    changes = {k: v for k, v in given.items() if v is not None}
    merge = {"rule": args.merge, "iou": args.iou, "connectivity": args.connectivity, "z_link": args.z_link}
    merged = {**base.get("merge", {}), **{k: v for k, v in merge.items() if v is not None}}
    spec = RunSpec(**{**base, **changes, **method_fields(args, base), "merge": merged})
    if args.iou is not None:
        check_threshold(spec.merge)
    return spec


def method_fields(args: Namespace, base: dict[str, Any]) -> dict[str, Any]:
    """Return backend and parameters, of a run file changed by the options that are given."""
    params = {**base.get("params", {}), **dict(_pair(item) for item in args.set or [])}
    backend = args.backend or ("function" if args.function else base.get("backend", "threshold"))
    if backend != base.get("backend", backend):
        params = dict(_pair(item) for item in args.set or [])
    if args.function:
        params["target"] = args.function
    if backend == "function":
        params = _function_params(params)
    return {"backend": backend, "params": params}


def _function_params(params: dict[str, Any]) -> dict[str, Any]:
    """Return parameters in which all that is not the backend's own goes to the function."""
    own = {name: params[name] for name in ("target",) if name in params}
    kept = params.get("keywords", {})
    if not isinstance(kept, dict):
        raise SpecError(
            [Problem("params.keywords", f"{kept!r} is no set of names", "Write --set name=value")]
        )
    keywords = {**kept, **{k: v for k, v in params.items() if k not in ("target", "keywords")}}
    return {**own, "keywords": keywords} if keywords else own


def _value(text: Any) -> Any:
    """Return what was typed as a number, truth or structure, if it reads as one."""
    try:
        return json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return text


def channels(text: str) -> Any:
    """Return names; a name that has a comma is written in a JSON list."""
    return _value(text) if text.startswith("[") else text.split(",")


def _pair(item: str) -> tuple[str, Any]:
    name, equals, value = item.partition("=")
    if not equals:
        raise SpecError([Problem("set", f"'{item}' has no '='", "Write --set name=value")])
    return name.strip(), _value(value.strip())


def sizes(field: str, text: str | None) -> Any:
    """Return a size per axis as it was typed: a number, several, by axis, or a word."""
    if text in (None, "auto", "measure"):
        return text
    if "=" in text:
        pairs = (part.partition("=") for part in text.split(","))
        return {name.strip(): number.strip() for name, _, number in pairs}
    numbers = _numbers(field, text)
    return numbers[0] if len(numbers) == 1 else numbers


def _box(text: str) -> tuple[tuple[int | None, int | None], ...]:
    try:
        return parse_region(text)
    except ValueError:
        fix = "Give a slice per axis of the labels, such as 0:2048,1024:3072; ':' is a whole axis"
        raise SpecError([Problem("region", f"'{text}' is not understood", fix)]) from None


def _numbers(field: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        fix = "Give whole numbers, such as 1024 or 32,512,512"
        raise SpecError([Problem(field, f"'{text}' is not understood", fix)]) from None


def view(args: Namespace) -> int:
    """Open an image in napari."""
    from seamlabel.io.ngff.model import open_image

    open_image(args.image)  # a wrong path is told here, not in a window
    if not _has_display():
        raise SeamlabelError("there is no display to open napari on", "Use a machine with a screen")
    try:
        # By name: the viewer is optional, and lies above this layer.
        show = import_module("seamlabel.napari.show").show
    except ImportError as error:
        msg = f"napari is not installed ({error.name} is missing)"
        raise SeamlabelError(msg, "Install with: pip install 'seamlabel[napari]'") from None
    show(args.image)
    return 0


def demo(args: Namespace) -> int:
    """Run the main job on a sample, and show where everything is."""
    from seamlabel.demo import demonstrate

    paths = demonstrate(Path(args.out), _numbers("shape", args.shape))
    if args.show:
        args.image = str(paths.image)
        return view(args)
    command = "seamlabel" if which("seamlabel") else sys.argv[0]  # in a virtual environment not entered
    print(f"\nSee it in napari: {command} view {paths.image}")
    return 0


def _has_display() -> bool:
    import os

    return sys.platform in ("darwin", "win32") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
