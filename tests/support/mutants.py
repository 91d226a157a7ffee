"""Breaks the code in thousands of places, one at a time, and says which breaks no test notices. `make mutants` runs it.

mutmut makes the mutants, and support/collected.py runs the tests. tests/mutants.toml says which tests each module has, and which
survivors were looked at and may live. Each module has its own folder in build/mutants: what is known of it stays until the module
or one of its tests changes.

mutmut 3 mutates what is inside of functions; constants, and functions with a decorator other than a static method's, are not.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
FOLDER, MUTMUT = ROOT / "build" / "mutants", ROOT / "build" / "mutmut"
TABLE = ROOT / "tests" / "mutants.toml"

NEEDED = ("export", "train", "bench", "tests", "deploy")
LINKED = ("models", "docs")

# mutmut wants a package of its own name in src/
CONFIG = """
[tool.pytest.ini_options]
pythonpath = [".", "src", "tests"]
[tool.mutmut]
source_paths = ["src", "export", "train"]
only_mutate = ["{module}"]
pytest_add_cli_args = {options}
pytest_add_cli_args_test_selection = {tests}
also_copy = ["bench", "deploy"]
"""

OPTIONS = ["--import-mode=importlib", "-p", "no:cacheprovider", "-p", "no:xdist"]

# the tests' arrays are small, and threads that wait for each other take ten times the processor's time
ONE_THREAD = {name: "1" for name in ("OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")}

SURVIVED = {0: "survived", 5: "no test runs it", 33: "no test runs it"}
UNKNOWN = (None, 2)
"""Exit statuses of mutants' tests, as mutmut keeps them; any other one means that the mutant was caught."""


class Survivor(NamedTuple):
    """function: with its class. change: its changed lines. how: it got by."""

    function: str
    change: str
    how: str

    @property
    def name(self) -> str:
        return f"{self.function}: {self.change}"


class Result(NamedTuple):
    """What is known of a module's mutants. waiting: those that were not tried yet."""

    mutants: int
    caught: int
    waiting: int
    seconds: float
    survivors: list[Survivor]


def read_table() -> dict[str, Any]:
    return tomllib.loads(TABLE.read_text())


def inside(module: str) -> str:
    """The module's path in its folder, from which mutmut takes its name."""
    return module.replace("edge/", "src/", 1) if module.startswith("edge/") else module


def folder_of(module: str) -> Path:
    return FOLDER / module.removesuffix(".py").replace("/", ".")


def digest(module: str, tests: list[str], slow: bool) -> str:
    """Of all on which a module's results rest, as far as they do not lie deeper."""
    return sha256(b"".join((ROOT / path).read_bytes() for path in [module, *tests]) + f"{CONFIG}{slow}".encode()).hexdigest()


def prepare(module: str, tests: list[str], slow: bool) -> Path:
    """Makes the module's folder, unless it is there and nothing has changed. slow: with the tests that are marked so."""
    folder, wanted = folder_of(module), digest(module, tests, slow)
    stamp = folder / "digest"
    if stamp.exists() and stamp.read_text() == wanted:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    ignored = shutil.ignore_patterns("__pycache__", "machines")
    shutil.copytree(ROOT / "edge" / "fmnist_edge", folder / "src" / "fmnist_edge", ignore=ignored)
    for name in NEEDED:
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    (folder / "mutants").mkdir()
    for name in LINKED:
        (folder / "mutants" / name).symlink_to(ROOT / name)
    # TensorFlow takes seconds to import: as a plugin it is there before the fork, once for all mutants
    preload = ["-p", "keras"] if any("mark.tensorflow" in (ROOT / test).read_text() for test in tests) else []
    config = CONFIG.format(
        module=inside(module),
        tests=json.dumps(tests),
        options=json.dumps([*OPTIONS, *([] if slow else ["-m", "not slow"]), *preload]),
    )
    (folder / "pyproject.toml").write_text(config)
    stamp.write_text(wanted)
    return folder


def run(module: str, tests: list[str], slow: bool) -> bool:
    """Tries the mutants that were not tried yet. Returns whether all could be."""
    tests = [f"tests/{test}" for test in tests]
    if missing := [test for test in tests if not (ROOT / test).exists()]:
        print(f"{module}: {', '.join(missing)}: no such test", file=sys.stderr)
        return False
    folder = prepare(module, tests, slow)
    environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": str(MUTMUT)}
    command = [sys.executable, str(Path(__file__).with_name("collected.py"))]
    began = time.monotonic()
    try:
        with open(folder / "log", "w") as log:
            done = subprocess.run(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
    finally:
        with open(folder / "seconds", "a") as file:  # a line for each run
            file.write(f"{time.monotonic() - began:.1f}\n")
    result = read_result(module)
    if done.returncode != 0 or result is None or result.waiting:
        print(f"{module}: not all mutants could be tried; {folder.relative_to(ROOT)}/log says why", file=sys.stderr)
        return False
    print(f"{module}: {result.caught} of {result.mutants} caught in {result.seconds:.0f} s", flush=True)
    return True


def read_result(module: str) -> Result | None:
    meta = folder_of(module) / "mutants" / f"{inside(module)}.meta"
    if not meta.exists():
        return None
    known = json.loads(meta.read_text())
    statuses: dict[str, int | None] = known["exit_code_by_key"]
    left = {mutant: SURVIVED[status] for mutant, status in statuses.items() if status in SURVIVED}
    waiting = sum(status in UNKNOWN for status in statuses.values())
    survivors = describe(module, left) if left else []
    caught = len(statuses) - waiting - len(left)
    runs = folder_of(module) / "seconds"
    seconds = sum(map(float, runs.read_text().split())) if runs.exists() else 0
    return Result(len(statuses), caught, waiting, seconds, survivors)


def describe(module: str, mutants: dict[str, str]) -> list[Survivor]:
    """mutants: how each got by, by mutmut's name for it."""
    sys.path.insert(0, str(MUTMUT))
    before = Path.cwd()
    os.chdir(folder_of(module))
    try:
        from mutmut.configuration import reset_config
        from mutmut.mutation.diff_apply import get_diff_for_mutant

        reset_config()
        survivors = []
        for mutant, how in mutants.items():
            lines = get_diff_for_mutant(mutant, path=inside(module)).splitlines()[2:]
            change = " ".join(line[1:].strip() for line in lines if line.startswith("+"))
            place = re.sub(r"^x_?|__mutmut_\d+$", "", mutant.rpartition(".")[2])
            survivors.append(Survivor(place.strip("ǁ").replace("ǁ", "."), change or "(a line less)", how))
        return survivors
    finally:
        os.chdir(before)
        sys.path.remove(str(MUTMUT))


def report(modules: list[str], table: dict[str, Any], in_full: bool) -> None:
    """The table, module by module, then the survivors that nobody has looked at yet, as they stand in the list once one has."""
    print("| module | mutants | caught | | survivors, by reason | not looked at | seconds |\n|---|--:|--:|--:|---|--:|--:|")
    total: Counter[str] = Counter()
    new: dict[str, list[Survivor]] = {}
    stale: list[str] = []
    for module in modules:
        result = read_result(module)
        if result is None or result.waiting:
            print(f"| {module} | {result.waiting if result else 'all'} not tried yet | | | | | |")
            continue
        reviewed = {name: entry["reason"] for entry in table["survivors"].get(module, []) for name in entry["mutants"]}
        reasons = [reviewed.get(survivor.name) or find_kind(survivor, table["kinds"]) for survivor in result.survivors]
        new[module] = [survivor for survivor, reason in zip(result.survivors, reasons, strict=True) if not reason]
        names = {survivor.name for survivor in result.survivors}
        stale += [f"{module}: {name}" for name in reviewed if name not in names]
        counts = Counter(reason.partition(":")[0] for reason in reasons if reason)
        told = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))
        print_row(module, result.mutants, result.caught, told, len(new[module]), result.seconds)
        total.update(
            {"mutants": result.mutants, "caught": result.caught, "new": len(new[module]), "seconds": round(result.seconds)}
        )
    print_row("all", total["mutants"], total["caught"], "", total["new"], total["seconds"])
    if in_full:
        for module, survivors in new.items():
            print_as_entries(module, survivors)
    for line in stale:
        print(f"listed, and no survivor any longer: {line}")


def find_kind(survivor: Survivor, kinds: list[dict[str, Any]]) -> str | None:
    """The reason of the kind that it is of, if that is one of those that are the same in every module."""
    fitting = (kind["reason"] for kind in kinds if any(re.search(pattern, survivor.change) for pattern in kind["changes"]))
    return next(fitting, None)


def print_row(name: str, mutants: int, caught: int, reasons: str, new: int, seconds: float) -> None:
    print(f"| {name} | {mutants:,} | {caught:,} | {caught / max(mutants, 1):.1%} | {reasons} | {new} | {seconds:.0f} |")


def print_as_entries(module: str, survivors: list[Survivor]) -> None:
    for how in sorted({survivor.how for survivor in survivors}):
        print(f'\n[[survivors."{module}"]]\nreason = "{how}"\nmutants = [')
        for survivor in survivors:
            if survivor.how == how:
                quoted = f"'{survivor.name}'" if "'" not in survivor.name else json.dumps(survivor.name, ensure_ascii=False)
                print(f"    {quoted},")
        print("]")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", choices=["run", "report"])
    parser.add_argument("modules", nargs="*", help="all if none is named")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="modules that are tried at once")
    arguments = parser.parse_args()
    table = read_table()
    modules = arguments.modules or list(table["tests"])
    if unknown := [module for module in modules if module not in table["tests"]]:
        print(f"{', '.join(unknown)}: not in {TABLE.relative_to(ROOT)}", file=sys.stderr)
        return 2
    whole = True
    if arguments.job == "run":
        with ThreadPoolExecutor(arguments.jobs) as pool:
            whole = all(list(pool.map(lambda module: run(module, table["tests"][module], module in table["slow"]), modules)))
    report(modules, table, in_full=bool(arguments.modules) or arguments.job == "report")
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
