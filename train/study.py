"""python -m train.study: measures the recipes over several seeds, what each part of them gives, and what learners ask.

Each result is written to docs/study.json as soon as it is known, and is not measured again: an interrupted study goes on.
docs/study.md shows them: see train/study_page.py. What is measured is in train/study_runs.py.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from fmnist_edge.cli.commands import run
from fmnist_edge.errors import UsageError, reported
from fmnist_edge.terminal import quiet_stderr
from train.recipes import RECIPES, Recipe, find_recipe
from train.study_page import OWN_PARTS, PAGE, PARTS, PHOTO_PARTS, QUESTIONS, RESULTS, fill_page, read_results


@reported("study", "what was measured is in docs/study.json; the same command continues")
def main(
    recipe: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Measure only this recipe, and list it in the table; repeatable.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, metavar="N", help="How many trainings of each.")] = 3,
    tried: Annotated[Path | None, typer.Option("--try", help="Labelled photos to try each model on.", metavar="DIR")] = None,
    only_page: Annotated[
        bool, typer.Option("--page", help="Measure nothing: write docs/study.md from what docs/study.json holds.")
    ] = False,
) -> None:
    """Measure the recipes, and write docs/study.json and docs/study.md.

    Everything together takes more than an hour on two cores; what was measured before is not measured again. To measure
    something anew, delete it from docs/study.json.

    \b
    Examples:
      python -m train.study
      python -m train.study --recipe quick --recipe compact
      python -m train.study --page
    """
    if only_page and (recipe or tried):
        raise UsageError("--page measures nothing, so it takes no --recipe and no --try")
    named = {name: find_recipe(name) for name in recipe or RECIPES}
    if not only_page:
        measure(named, seeds, tried, everything=not recipe)
    PAGE.write_text(fill_page(read_results()), "utf-8")
    print(f"wrote {PAGE}" if only_page else f"wrote {RESULTS} and {PAGE}")


def measure(recipes: Mapping[str, Recipe], seeds: int, tried: Path | None, everything: bool) -> None:
    """Measures the recipes, and on request everything else that the page shows."""
    with quiet_stderr():
        # TensorFlow takes seconds to import, and --help needs none
        from train.fit import use_one_thread_each
        from train.study_runs import Study, in_its_own_process, textbook
    from train.dataset import load

    use_one_thread_each()
    study = Study(load(), tried)
    if everything:
        study.keep("textbook", "an output layer of 5", partial(in_its_own_process, textbook, study.dataset, 0, outputs=5))
        study.keep("textbook", "one-hot labels, seed 0", partial(in_its_own_process, textbook, study.dataset, 0, one_hot=True))
        for seed in range(seeds):
            study.keep("textbook", f"seed {seed}", partial(in_its_own_process, textbook, study.dataset, seed))
    for seed in range(seeds):
        for name, recipe in recipes.items():
            study.keep("recipes", f"{name}, seed {seed}", partial(study.whole, recipe, seed), recipe)
    if not everything:
        return
    for name, (recipe, choose) in PHOTO_PARTS.items():
        if len(study.clothes):
            study.keep("clothes", name, partial(study.learn_from, recipe, choose(study.clothes)), recipe)
    for name, (recipe, count) in OWN_PARTS.items():
        if len(study.clothes):
            study.keep("own", name, partial(study.learn_from_own, recipe, count), recipe)
    for group, parts in (("parts", PARTS), ("questions", QUESTIONS)):
        for name, recipe in parts.items():
            study.keep(group, name, partial(study.holdout, recipe, 0), recipe)


if __name__ == "__main__":
    run(main, "study")
