"""The data set, read once: the mutants' tests run in forks of a process that has it already."""

from functools import cache

from train.dataset import Dataset, load


@cache
def load_once() -> Dataset:
    return load()
