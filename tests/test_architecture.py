"""The house rules that a machine can check."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch

from gsrecon.cli.main import COMMANDS, run
from gsrecon.data.spec import read_spec
from gsrecon.geometry.camera import Cameras

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SOURCES = sorted((ROOT / "gsrecon").rglob("*.py"))
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def imports(path: Path) -> set[str]:
    """Dotted names of all that a file imports, inside functions too; `from a import b` gives a and a.b."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def tracked_files() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode:
        pytest.skip("not a git checkout: there is no list of tracked files")
    return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


def tool(name: str) -> str:
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed; the dev extra brings it")
    return found


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)


def shown_commands(program: str) -> dict[str, set[str]]:
    """Command lines the documents show: the first word after the program's name, and its options."""
    shown: dict[str, set[str]] = {}
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        blocks = re.findall(r"^```(?:bash|sh|console)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        lines = [line for block in blocks for line in block.splitlines()] + re.findall(r"`([^`\n]+)`", text)
        for line in lines:
            words = re.match(rf"(?:\$ )?(?:\.venv/bin/)?{program} ([a-z][a-z-]*)([^#]*)", line.strip())
            if words:
                shown.setdefault(words[1], set()).update(re.findall(r"--[a-z][a-z-]*", words[2]))
    return shown


def test_imports_go_down_the_layers_and_third_party_packages_sit_behind_their_adapters():
    result = subprocess.run(
        [tool("lint-imports"), "--no-cache", "--no-logo"], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_only_one_module_imports_the_extension():
    importers = {path.relative_to(ROOT).as_posix() for path in SOURCES if "gsrecon._C" in imports(path)}
    assert importers <= {"gsrecon/ops/_native.py"}


def test_cub_stays_in_one_file_and_launches_go_through_one_function():
    kernels = {p.name: p.read_text(encoding="utf-8") for p in (ROOT / "cuda" / "gpu").iterdir()}
    assert {name for name, text in kernels.items() if "cub::" in text} == {"sort.cu"}
    assert {name for name, text in kernels.items() if "cudaLaunchKernel" in text} == {"runtime.h"}
    assert not {name for name, text in kernels.items() if "<<<" in text}


def test_every_package_imported_is_declared():
    extras = PROJECT["project"]["optional-dependencies"].values()
    declared = [*PROJECT["project"]["dependencies"], *(package for extra in extras for package in extra)]
    names = {re.split(r"[^A-Za-z0-9_-]", package)[0].lower().replace("-", "_") for package in declared}
    names = (
        {
            {"pillow": "pil", "nuscenes_devkit": "nuscenes", "cuda_python": "cuda"}.get(name, name)
            for name in names
        }
        | set(sys.stdlib_module_names)
        | {"gsrecon", "gsrecon_viewer"}
    )
    undeclared = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in SOURCES
        for name in (dotted.split(".")[0] for dotted in imports(path))
        if name.lower() not in names
    }
    assert not undeclared


def test_importing_the_package_is_silent_and_light():
    result = run_python(
        "import sys; before = set(sys.modules); import gsrecon; new = set(sys.modules) - before\n"
        "print(sorted({name.split('.')[0] for name in new} - set(sys.stdlib_module_names)))"
    )
    assert result.stderr == ""
    assert result.stdout == "['gsrecon']\n"


def test_every_module_imports_without_the_optional_packages():
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in SOURCES]
    modules = [name.removesuffix(".__init__") for name in modules]
    result = run_python(
        "import importlib, sys\n"
        "for name in ('cuda', 'embreex', 'gsplat', 'nuscenes', 'pycolmap', 'scipy', 'jsonschema',\n"
        "        'beartype'):\n"
        "    sys.modules[name] = None\n"
        f"for name in {modules!r}:\n"
        "    importlib.import_module(name)\n"
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""


def test_shapes_are_checked_in_this_run():
    too_few_axes = torch.eye(4)
    with pytest.raises(Exception, match="Type-check error"):
        Cameras(viewmats=too_few_axes, Ks=torch.eye(3)[None], width=4, height=4)


def test_no_file_is_named_after_nothing():
    banned = {"utils", "util", "helpers", "helper", "common", "base", "misc", "manager", "handler"}
    assert not [path for path in SOURCES if path.stem in banned or path.parent.name in banned]


def test_tracked_files_name_no_machine():
    folders = "|".join(["work", "root", "home", "farm", "opt", "Users"])
    registries = "|".join([r"pypi\.org", r"python" + r"hosted\.org", r"download\.py" + r"torch\.org"])
    machine = re.compile(rf"(?<![\w./~)}}])/(?:{folders})/\w|(?:{registries})")
    found = []
    for path in tracked_files():
        if path == Path(__file__) or path.suffix in {".jpg", ".png", ".ply", ".safetensors"}:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if machine.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert not found


def test_every_make_command_in_the_documents_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = set(shown_commands("make"))
    assert {"demo", "test"} <= shown <= targets


def test_every_gsrecon_command_in_the_documents_exists_and_knows_its_options(capsys):
    shown = shown_commands("gsrecon")
    assert {"check", "train", "evaluate"} <= shown.keys() <= COMMANDS.keys()
    for command, options in shown.items():
        with pytest.raises(SystemExit):
            run([command, "--help"])
        known = set(re.findall(r"--[a-z][a-z-]*", capsys.readouterr().out))
        assert options <= known, command


@pytest.mark.parametrize("path", sorted((ROOT / "scenes").glob("*.toml")), ids=lambda path: path.stem)
def test_every_scene_spec_parses(path):
    assert read_spec(path).drive


def test_links_in_the_documents_lead_somewhere():
    broken = []
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text(encoding="utf-8")):
            if "://" not in target and not (document.parent / target).exists():
                broken.append((document.name, target))
    assert not broken


def test_cpp_sources_are_formatted():
    sources = [
        path for path in sorted((ROOT / "cuda").rglob("*")) if path.suffix in {".cpp", ".h", ".cu", ".cuh"}
    ]
    result = subprocess.run(
        [tool("clang-format"), "--dry-run", "-Werror", *map(str, sources)], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
def test_a_wheel_carries_the_extension_the_scene_specs_and_the_schema(tmp_path):
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    settings = ["--config-settings", f"build-dir={tmp_path / 'build'}"]
    subprocess.run([*build, *settings, "--wheel-dir", str(tmp_path), str(ROOT)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    shutil.unpack_archive(wheel, tmp_path / "unpacked", "zip")
    package = tmp_path / "unpacked" / "gsrecon"
    assert list(package.glob("_C.*"))
    assert (package / "py.typed").is_file()
    assert (package / "data" / "drive.schema.json").is_file()
    carried = {path.name for path in (package / "_scenes").glob("*.toml")}
    assert carried == {path.name for path in (ROOT / "scenes").glob("*.toml")}
