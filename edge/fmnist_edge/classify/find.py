"""From what the command line names to the pictures there, one after the other: what each is called, and what reads it.

Nothing is read before it is its turn, and nothing is kept, however many there are.
"""

import codecs
import glob
import io
import os
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from typing import cast

from fmnist_edge.address import is_address, safe_name
from fmnist_edge.classify.reading import ARCHIVES, Options, Source, fail, read_content
from fmnist_edge.errors import InputError, UsageError
from fmnist_edge.files import UTF_16
from fmnist_edge.pictures.decode import MAX_BYTES
from fmnist_edge.pictures.kinds import READABLE, is_kept_aside, is_picture
from fmnist_edge.pictures.tile import read_picture


def find(arguments: Iterable[str], options: Options) -> Iterator[Source]:
    """Every picture that the arguments name, in order. "-" stands for the lines of stdin, each an argument too."""
    for argument in arguments:
        for name in lines_of_stdin() if argument == "-" else [argument]:
            try:
                yield from find_in(name, options)
            except InputError as error:
                yield Source(safe_name(name) if is_address(name) else name, partial(fail, error))


def find_in(name: str, options: Options) -> Iterator[Source]:
    """The pictures in a file, folder or archive, or that a pattern as ``*.jpg`` fits. Raises InputError if there are none."""
    if is_address(name):
        raise InputError("an address of a camera; 'fmnist-edge camera --source' takes it")
    if glob.has_magic(name) and not os.path.lexists(name):
        matches = sorted(glob.glob(name, recursive=True))
        if not matches:
            raise InputError("no such file or directory, and nothing fits it as a pattern")
        yield from find(matches, options)
    elif os.path.isdir(name):
        yield from find_in_folder(name, options)
    elif not is_picture(os.path.basename(name)) and os.path.isfile(name) and (begin := first_bytes(name)).startswith(ARCHIVES):
        from fmnist_edge.classify.archives import find_in_archive

        yield from find_in_archive(name, begin, options)
    else:
        yield picture(name, options)


def picture(path: str, options: Options) -> Source:
    return Source(path, partial(read_picture, path, options.wanted, options.max_pixels))


def find_in_folder(folder: str, options: Options) -> Iterator[Source]:
    """The pictures in a folder by name, then those in its folders, if that is wanted.

    Links to folders are not followed: they may lead in a circle. Raises InputError if there are no pictures.
    """
    nothing, waiting = True, [folder]
    while waiting:
        current = waiting.pop()
        try:
            files, folders = list_folder(current)
        except InputError as error:
            nothing = False
            yield Source(current, partial(fail, error))
            continue
        for name in files:
            nothing = False
            yield picture(os.path.join(current, name), options)
        if options.recursive:
            waiting += [os.path.join(current, name) for name in reversed(folders)]
    if nothing:
        hint = "" if options.recursive else "; -r looks into its folders too"
        raise InputError(f"no pictures in this folder ({READABLE}){hint}")


def list_folder(folder: str) -> tuple[list[str], list[str]]:
    """The names of pictures and of folders in a folder, sorted, hidden ones left out. Raises InputError if it can't be read."""
    files, folders = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if not is_kept_aside(entry.name):
                        folders.append(entry.name)
                elif is_picture(entry.name):
                    files.append(entry.name)
    except OSError as error:
        raise InputError(f"the folder can't be read ({error.strerror})") from None
    return sorted(files), sorted(folders)


def first_bytes(name: str) -> bytes:
    """A file's first four, by which archives are known; none if it can't be read, as reading it will say."""
    try:
        with open(name, "rb") as file:
            return file.read(4)
    except OSError:
        return b""


def lines_of_stdin() -> Iterator[str]:
    if sys.stdin is None:
        raise UsageError("stdin is closed; '-' reads paths from it")
    stream = cast(io.BufferedReader, sys.stdin.buffer)
    begin = stream.peek(3)[:3]
    if begin.startswith(UTF_16):  # as Windows PowerShell writes what goes to a file
        for text in io.TextIOWrapper(stream, "utf-16", "replace"):
            if name := text.rstrip("\r\n"):
                yield name
        return
    if begin == codecs.BOM_UTF8:
        stream.read(3)
    for line in stream:
        if name := os.fsdecode(line.rstrip(b"\r\n")):
            yield name


def picture_on_stdin(options: Options) -> Source:
    if sys.stdin is None:
        raise UsageError("stdin is closed; --stdin reads a picture from it")
    return Source("stdin", partial(read_content, sys.stdin.buffer.read(MAX_BYTES + 1), options))
