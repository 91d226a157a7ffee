"""Tries the mutants of the folder that it is started in (see `support.mutants`), with mutmut's mutants and pytest's tests.

Of its own accord, mutmut has a process for each mutant, and pytest start anew in it, which takes longer than the tests. Here the
tests are imported once, and a process tries all mutants of a function. If its tests then fail without a mutant, or it came to
another end, each of these mutants gets a process of its own after all.
"""

import gc
import os
import pickle
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

import pytest
from mutmut.__main__ import (
    collect_source_file_mutation_data,
    copy_also_copy_files,
    copy_src_dir,
    create_file_mutants,
    mangled_name_from_mutant_name,
    setup_source_paths,
    walk_source_files,
)
from mutmut.configuration import config
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.state import state
from mutmut.utils.file_utils import change_cwd

Result = TypeVar("Result")

SURVIVED, CAUGHT, NOT_REACHED = 0, 1, 33
SECONDS = 2
"""Of the processor's time, besides five times what the tests take: a mutant that takes more has no end. Nor has one that waits
five times as long, and not for the processor."""


class NoEndError(BaseException):
    pass


def collect() -> pytest.Session:
    """Imports the tests, but runs none: the threads of their runtimes would not survive a fork."""
    options = ["--rootdir=.", "-q", "--capture=sys", *config().pytest_add_cli_args]
    with change_cwd("mutants"):
        settings = pytest.Config.fromdictargs({}, [*options, *config().pytest_add_cli_args_test_selection])
        session = pytest.Session.from_config(settings)
        settings._do_configure()
        settings.hook.pytest_sessionstart(session=session)
        session.perform_collect()
        from support.fashion_mnist import load_once  # which can't be found before

        if any("dataset" in getattr(item, "fixturenames", ()) for item in session.items):
            load_once()
    gc.freeze()  # what is not looked at is not copied when it forks
    return session


def first_failing(session: pytest.Session, items: Sequence[pytest.Item]) -> str | None:
    """The test's name; None if all pass."""
    session.testsfailed = 0
    with change_cwd("mutants"):
        for item, following in zip(items, [*items[1:], None], strict=True):
            session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.testsfailed:
                return item.nodeid
    return None


def measure(session: pytest.Session) -> tuple[dict[str, set[str]], dict[str, float]] | None:
    """Which tests reach each function, and how long each would take on an idle machine. None if one fails: without a mutant."""
    reached: dict[str, set[str]] = {}
    seconds: dict[str, float] = {}

    class Notes:
        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            if report.failed:
                print(f"{report.nodeid}:\n{report.longreprtext}", file=sys.__stderr__, flush=True)
            for function in state()._stats:
                reached.setdefault(function, set()).add(report.nodeid)
            state()._stats.clear()

    session.config.pluginmanager.register(Notes())
    set_mutant_under_test("stats")
    del os.environ["MUTANT_UNDER_TEST"]  # a process that the tests start would look for mutmut's settings where it is
    for item in session.items:  # each by itself, so that it is known what its fixtures reach
        began = time.process_time() + waited()
        if first_failing(session, [item]):
            return None
        seconds[item.nodeid] = time.process_time() + waited() - began
    return reached, seconds


def waited() -> float:
    """Seconds in which this process neither ran nor could have, on a machine that has other things to do."""
    running, ready, _ = Path("/proc/self/schedstat").read_text().split()
    return time.monotonic() - (int(running) + int(ready)) / 1e9


def attempt(session: pytest.Session, mutants: Sequence[str], items: Sequence[pytest.Item], seconds: float) -> dict[str, int]:
    """The mutants' exit statuses, as mutmut keeps them. Nothing, of several, if the tests then fail without a mutant.

    The log says which test caught each.
    """

    def give_up(*_: object) -> None:
        raise NoEndError

    def look(*_: object) -> None:
        if waited() - began > 5 * seconds:
            raise NoEndError

    signal.signal(signal.SIGVTALRM, give_up)
    signal.signal(signal.SIGALRM, look)
    found = {}
    for mutant in mutants:
        set_mutant_under_test(mutant)
        began = waited()
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
        signal.setitimer(signal.ITIMER_REAL, 1, 1)
        try:
            failing = first_failing(session, items)
        except (NoEndError, KeyboardInterrupt, SystemExit, pytest.exit.Exception) as error:
            failing = type(error).__name__
            session._setupstate.teardown_exact(None)
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
        found[mutant] = CAUGHT if failing else SURVIVED
        if failing:  # a test that measures time may fail without the mutant
            print(f"{mutant}: caught by {failing}", file=sys.__stderr__, flush=True)
    set_mutant_under_test("")
    return found if len(mutants) == 1 or not first_failing(session, items) else {}


def in_fork(function: Callable[..., Result], *arguments: Any) -> Result | None:
    """What the function returns in a process of its own; None if that came to another end."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with open(os.devnull, "w") as sys.stdout, open(writing, "wb") as pipe:
            try:
                pipe.write(pickle.dumps(function(*arguments)))
                pipe.flush()
            finally:
                os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        result = pipe.read()
    os.waitpid(child, 0)
    return pickle.loads(result) if result else None


def by_function(mutants: dict[str, int | None]) -> Iterator[tuple[str, list[str]]]:
    """Those that were not tried yet."""
    waiting = [mutant for mutant, status in mutants.items() if status is None]
    for function, of_it in groupby(waiting, mangled_name_from_mutant_name):
        yield function, list(of_it)


def main() -> int:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it, and tests send it
    set_mutant_under_test("mutant_generation")
    copy_src_dir()
    copy_also_copy_files()
    setup_source_paths()
    for path in walk_source_files():
        if error := create_file_mutants(path).error:
            raise error
    session = collect()
    if (measured := in_fork(measure, session)) is None:
        print("the tests fail without a mutant")
        return 1
    reached, seconds = measured
    for file in collect_source_file_mutation_data(mutant_names=())[1].values():
        for function, mutants in by_function(file.exit_code_by_key):
            reaching = [item for item in session.items if item.nodeid in reached.get(function, ())]
            reaching.sort(key=lambda item: seconds[item.nodeid])  # the quickest may do
            patience = SECONDS + 5 * sum(seconds[item.nodeid] for item in reaching)
            found = dict.fromkeys(mutants, NOT_REACHED) if not reaching else {}
            found = found or in_fork(attempt, session, mutants, reaching, patience) or {}
            for mutant in mutants if not found else []:
                found |= in_fork(attempt, session, [mutant], reaching, patience) or {mutant: CAUGHT}
            file.exit_code_by_key.update(found)
            file.save()
            print(f"{function}: {len(found)} tried", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
