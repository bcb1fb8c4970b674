import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from mriad import cli

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "mriad").rglob("*.py"))
SCRIPTS = {name: ROOT / f"{name}.py" for name in ("train", "evaluate", "predict")}
# what python -m starts besides: the command mriad, and rooms that are commands too, as in python -m mriad.audit
MAINS = {file.parent.name: file for file in MODULES if file.name == "__main__.py"}
# the files that only start the command line
ENTRY_POINTS = SCRIPTS | {name: MAINS[name] for name in ("audit", "mriad")}

# From the top of the house to its ground: a room imports itself and the rooms of lower floors.
FLOORS = (
    ("cli",),
    ("tasks",),
    ("bids_app", "serving"),
    ("api", "export"),
    ("experiment", "trainer"),
    ("sweeps", "callbacks", "report", "compare", "audit", "writing", "review"),
    ("prediction",),
    ("checkpoints", "processes", "published"),
    ("models", "tracking", "plots"),
    ("scoring", "thresholds", "metrics", "data", "pacs"),
    ("command", "disk", "ranks"),
    ("invocation",),
    ("volume_anatomy",),
    ("anatomy", "geometry", "interrupts", "tables", "terminal"),
    ("errors",),
    ("guesses", "passwords"),
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def name_of(file):
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(file):
    """Full names of what a module imports, anywhere in it: at its top, in functions, for types."""
    name = name_of(file)
    package = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            found += [f"{origin}.{alias.name}" for alias in node.names]
    return found


def room_of(name):
    """The room of a name below mriad; None for the package itself."""
    parts = name.split(".")
    return parts[1] if parts[0] == "mriad" and len(parts) > 1 else None


def rooms_imported(file):
    return {room for room in map(room_of, imports_of(file)) if room is not None}


def files_of(*rooms):
    return [file for file in MODULES if room_of(name_of(file)) in rooms]


def test_the_parser_sees_imports_of_every_kind(tmp_path, monkeypatch):
    file = tmp_path / "mriad" / "tasks" / "x.py"
    file.parent.mkdir(parents=True)
    file.write_text(
        "import os, mriad.data\nfrom mriad import plots\nfrom ..models import vae\nfrom . import y\n"
        "def f():\n    from mriad.report.result import Result\n"
    )
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    assert rooms_imported(file) == {"data", "plots", "models", "tasks", "report"}


@pytest.mark.parametrize("file", [file for file in MODULES if file not in ENTRY_POINTS.values()], ids=name_of)
def test_a_module_imports_its_own_room_and_lower_floors_only(file):
    room = room_of(name_of(file))
    if room is None:
        assert rooms_imported(file) == {"api"}  # once somebody asks for it, see the test below
        return
    assert room in FLOOR, f"{room} stands on no floor; give it one here and in the design"
    upward = {other for other in rooms_imported(file) if other != room and FLOOR[other] <= FLOOR[room]}
    assert upward == set()


@pytest.mark.parametrize(
    ("room", "forbidden"),
    [
        ("models", {"data"}),
        ("tracking", {"data", "scoring", "thresholds", "metrics"}),
        ("scoring", {"models", "data"}),
        ("thresholds", {"models", "data"}),
        ("metrics", {"models", "data"}),
    ],
)
def test_rooms_that_must_not_know_each_other(room, forbidden):
    files = files_of(room)
    assert files
    assert {name_of(file): rooms_imported(file) & forbidden for file in files} == {name_of(f): set() for f in files}


# Within data: a scan is read, prepared, given a role and shown to a network; none of these rooms asks a later one.
DATA_FLOORS = ("datamodule", "training", "scans", "layouts", "batches", "preparing", "catalog", "roles", "reading")


def test_rooms_of_data_stand_on_one_another():
    for file in MODULES:
        name = name_of(file).split(".")
        if name[1:2] != ["data"] or name[2:3] in ([], ["synthetic"]):
            continue
        asked = {imported.split(".")[2] for imported in imports_of(file) if imported.startswith("mriad.data.")}
        assert asked - {"synthetic"} <= set(DATA_FLOORS[DATA_FLOORS.index(name[2]) :]), file


def test_no_two_files_import_each_other():
    names = {name_of(file) for file in MODULES}
    asked = {name_of(file): {_module(name, names) for name in imports_of(file)} for file in MODULES}
    circles = {tuple(sorted((a, b))) for a in asked for b in asked[a] - {a, None} if a in asked[b]}
    assert circles == set()


def _module(name, names):
    """The module that a full name of what is imported stands in; None for another package's."""
    while name not in names and "." in name:
        name = name.rpartition(".")[0]
    return name if name in names and name != "mriad" else None


def test_plots_know_arrays_only():
    files = files_of("plots")
    assert files
    assert set().union(*map(rooms_imported, files)) <= {"plots", "errors"}


def test_nothing_but_the_command_line_asks_for_tasks():
    importers = {file for file in MODULES if "tasks" in rooms_imported(file)}
    assert {room_of(name_of(file)) for file in importers} <= {"tasks"}
    for name in cli.TASKS:
        assert callable(cli._task(name))
        assert (ROOT / "conf" / f"{name}.yaml").is_file()
    for module, _ in cli.OTHERS.values():
        assert callable(import_module(module).main)


@pytest.mark.parametrize("command", ENTRY_POINTS)
def test_an_entry_point_is_thin(command):
    file = ENTRY_POINTS[command]
    assert rooms_imported(file) == {"cli"}
    assert len(file.read_text().splitlines()) < 10


def test_a_program_that_imports_mriad_waits_for_nothing_until_it_asks_for_something():
    program = "import sys, mriad\nprint([name for name in sys.modules if name.startswith('mriad.')], mriad.__version__)"
    program += "\nprint(callable(mriad.load), 'torch' in sys.modules, 'mlflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("[] 0.1.0\nTrue True False\n", "")


@pytest.mark.parametrize("room", ["data.reading", "data.preparing", "data.roles", "geometry"])
def test_what_workers_start_with_is_light(room):
    modules = [name for file in MODULES if (name := name_of(file)).startswith(f"mriad.{room}")]
    program = f"import sys, {', '.join(modules)}\nprint(sorted({{'torch', 'lightning', 'mlflow'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (modules != [], done.stdout, done.stderr) == (True, "[]\n", "")


def test_a_worker_that_prepares_scans_imports_no_tables_and_no_statistics():
    program = "import sys, mriad.data.preparing.prepared\nprint(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120)
    imported = set(done.stdout.split())
    assert (done.stderr, imported & {"cv2", "mriad"}) == ("", {"cv2", "mriad"})
    assert imported & {"torch", "lightning", "pandas", "pyarrow", "scipy", "skimage", "sklearn", "nibabel"} == set()


def test_a_training_without_augmentation_does_not_wait_for_albumentations():
    program = "import sys, mriad.tasks.train\nprint('albumentations' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.stdout == "False\n", done.stderr


def test_albumentations_is_imported_in_one_file():
    users = [name_of(file) for file in MODULES if any(n.split(".")[0] == "albumentations" for n in imports_of(file))]
    assert users == ["mriad.data.training.augment"]


@pytest.mark.parametrize("command", SCRIPTS | MAINS)
def test_help_does_not_wait_for_heavy_imports(command, tmp_path):
    module = "mriad" if command == "mriad" else f"mriad.{command}"
    start = f"path({str(SCRIPTS[command])!r}" if command in SCRIPTS else f"module({module!r}"
    program = f"""
import runpy, sys
sys.argv = [{command + ".py"!r}, "--help"]
sys.path.insert(0, {str(ROOT)!r})
try:
    runpy.run_{start}, run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code
heavy = {{"torch", "lightning", "mlflow", "albumentations", "pandas", "sklearn", "matplotlib"}}
print("HEAVY", sorted(heavy & set(sys.modules)), "MRIAD", "mriad.errors" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "HEAVY [] MRIAD True"
    assert len(done.stdout.splitlines()) > 10
    assert list(tmp_path.iterdir()) == []
