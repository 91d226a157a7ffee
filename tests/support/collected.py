"""mutmut with tests that are imported and collected once: each mutant's process begins where the first test would.

Of its own accord, mutmut has pytest start anew for each mutant, and several times before the first one, which takes longer than
the tests. `support.mutants` runs this.
"""

import gc
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from mutmut.__main__ import cli
from mutmut.runners.harness import ListAllTestsResult, PytestRunner
from mutmut.state import state
from mutmut.utils.file_utils import change_cwd
from mutmut.workers import isolation
from mutmut.workers.timeout import register_timeout

session: pytest.Session | None = None


def collect() -> pytest.Session:
    """Imports the tests, but runs none: the threads of their runtimes would not survive a fork."""
    global session
    if session is None:
        runner = PytestRunner()
        arguments = ["--rootdir=.", "-q", "--capture=sys", *runner._pytest_add_cli_args]
        with change_cwd("mutants"):
            config = pytest.Config.fromdictargs({}, [*arguments, *runner._pytest_add_cli_args_test_selection])
            session = pytest.Session.from_config(config)
            config._do_configure()
            config.hook.pytest_sessionstart(session=session)
            session.perform_collect()
            from support.fashion_mnist import load_once  # which can't be found before

            if any("dataset" in getattr(item, "fixturenames", ()) for item in session.items):
                load_once()
        gc.freeze()  # what is not looked at is not copied when it forks
    return session


class CollectedTests(PytestRunner):
    def warm_up(self) -> None:
        collect()

    def list_all_tests(self) -> ListAllTestsResult:
        return ListAllTestsResult(ids={item.nodeid for item in collect().items})

    def run_stats(self, *, tests: Iterable[str]) -> int:
        """Which tests reach which functions, and how long each takes."""

        class Collector:
            def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
                state().duration_by_test[report.nodeid] += report.duration
                for function in state()._stats:
                    state().tests_by_mangled_function_name[function].add(report.nodeid)
                state()._stats.clear()

        collect().config.pluginmanager.register(Collector())
        state()._stats.clear()  # what ran while the tests were imported ran without a mutant
        return self.run_tests(mutant_name=None, tests=tests)

    def run_tests(self, *, mutant_name: str | None, tests: Iterable[str]) -> int:
        """tests: all if there are none, as when mutmut looks whether they pass without a mutant."""
        session = collect()
        chosen, seconds = set(tests), state().duration_by_test
        items = [item for item in session.items if not chosen or item.nodeid in chosen]
        items.sort(key=lambda item: seconds.get(item.nodeid, 0))  # the quickest may do
        hook = session.config.hook
        with change_cwd("mutants"):
            for item, following in zip(items, [*items[1:], None], strict=True):
                hook.pytest_runtest_protocol(item=item, nextitem=following)
                if session.testsfailed:
                    break
            failed = session.testsfailed > 0
            hook.pytest_sessionfinish(session=session, exitstatus=int(failed))
        return int(failed) if items else 5


class Runner(isolation.ForkServerRunner):
    """Whatever it forks has the tests already."""

    def _run_in_child(self, operation: Callable[[Any], Any]) -> Any:
        collect()
        return super()._run_in_child(operation)

    def _exit_code_from_child(self, operation: Callable[[Any], int]) -> int:
        collect()
        return super()._exit_code_from_child(operation)


def register_patiently(pid: int, timeout_s: float) -> None:
    """A mutant without an end is ended by the processor's time that it takes; on a busy machine the clock says little."""
    register_timeout(pid=pid, timeout_s=20 * timeout_s)


if __name__ == "__main__":
    isolation.register_timeout = register_patiently
    isolation.PytestRunner, isolation.ForkServerRunner = CollectedTests, Runner  # type: ignore[misc]
    cli()
