"""Finds the pictures that the command line names, one after another: the name of each, and a function that opens it.

A picture is read only when its turn comes, and nothing is kept, however many there are.
"""

import codecs
import glob
import io
import os
import re
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Literal, cast

from PIL import Image

from fmnist_edge.address import parse, safe_name
from fmnist_edge.classify.reading import Options, Source, fail, open_content
from fmnist_edge.errors import InputError, UsageError
from fmnist_edge.files import UTF_16
from fmnist_edge.pictures.decode import MAX_BYTES, read_image
from fmnist_edge.pictures.kinds import OTHERS, READABLE, format_of, is_film, is_kept_aside, is_picture
from fmnist_edge.source import (
    ARCHIVE,
    FOLDER,
    NUMBER,
    ON_STDIN,
    PATTERN,
    SEQUENCE,
    STREAM,
    WEB,
    Kind,
    first_bytes,
    how_to_watch,
    kind_of,
)

CONTROL = rb"[\x01-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f]"
"""Bytes that names hardly contain, but pictures, archives and videos have among their first bytes. Names may end with 0."""

NOTHING_FITS = "no such file or directory, and no file matches it as a pattern"


def find(arguments: Iterable[str], options: Options) -> Iterator[Source]:
    """Every picture that the arguments name, in order. "-" stands for stdin: more arguments, one per line, or a picture."""
    for source in find_each(arguments, options):
        if options.rotate:
            from fmnist_edge.classify.turns import open_turned

            source = source._replace(open=partial(open_turned, source.open, options.rotate))
        yield source


def find_each(arguments: Iterable[str], options: Options) -> Iterator[Source]:
    for argument in arguments:
        if argument not in ON_STDIN:
            yield from find_or_fail(argument, options)
        elif on_stdin() == "a picture":
            yield picture_on_stdin(options)
        else:
            for name in lines_of_stdin():
                yield from find_or_fail(name, options)


def find_or_fail(name: str, options: Options) -> Iterator[Source]:
    try:
        yield from find_in(name, kind_of(name), options)
    except (InputError, UsageError) as error:
        shown = name if os.path.lexists(name) else safe_name(name)
        yield Source(shown or "''", partial(fail, InputError(str(error).removeprefix(f"{shown}: "))))


def find_in(name: str, kind: Kind, options: Options) -> Iterator[Source]:
    """The pictures of a source other than stdin. Raises InputError if there are none."""
    if kind.watched and not options.frames:
        raise InputError(how_to_watch(name, kind))
    if kind.watched:
        from fmnist_edge.cameras.devices import next_frame

        yield Source(safe_name(name), partial(next_frame, name), options.wanted)
    elif kind == WEB:
        parse(name)
        yield Source(safe_name(name), partial(open_address, name, options), options.wanted)
    elif kind in (PATTERN, SEQUENCE):
        matches = sorted(glob.glob(name, recursive=True)) if kind == PATTERN else numbered(name)
        if not matches:
            raise InputError(NOTHING_FITS)
        for match in matches:
            yield from find_or_fail(match, options)
    elif kind == FOLDER:
        yield from find_in_folder(name, options)
    elif kind == ARCHIVE:
        from fmnist_edge.classify.archives import find_in_archive

        yield from find_in_archive(name, first_bytes(name), options)
    else:
        yield picture(name, options)


def picture(path: str, options: Options) -> Source:
    return Source(path, partial(read_image, path, options.max_pixels, options.whole), options.wanted)


def open_address(address: str, options: Options) -> Image.Image:
    """The picture at a web address."""
    from fmnist_edge.cameras.fetch import fetch_picture

    certificate = options.certificate if address.lower().startswith("https://") else None
    content = fetch_picture(address, certificate)
    if content is not None:
        return open_content(content, options)
    if not options.frames:
        raise InputError(how_to_watch(address, STREAM))
    from fmnist_edge.cameras.devices import next_frame

    return next_frame(address, certificate)


def numbered(pattern: str) -> list[str]:
    """The files that fit a name such as ``frames/%04d.png``, by number."""
    folder, name = os.path.split(pattern)
    if not (number := re.search(NUMBER, name)):
        return []
    fitting = re.compile(re.escape(name[: number.start()]) + r"(\d+)" + re.escape(name[number.end() :]))
    try:
        matches = [match for match in map(fitting.fullmatch, os.listdir(folder or ".")) if match]
    except OSError:
        return []
    found = {int(match[1]): match[0] for match in matches if match[1] == number[0] % int(match[1])}
    return [os.path.join(folder, found[key]) for key in sorted(found)]


def find_in_folder(folder: str, options: Options) -> Iterator[Source]:
    """The pictures in a folder by name, then those in its subfolders if ``options.recursive``.

    Links to folders are not followed: they may form a circle. Raises InputError if there are no pictures.
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
        hint = "" if options.recursive else "; -r searches its subfolders too"
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


def on_stdin() -> Literal["names", "a picture", "nothing"]:
    """What stdin holds. Waits for the first bytes."""
    begin = stdin().peek(32)[:32]
    if begin.startswith((codecs.BOM_UTF8, *UTF_16)) or not begin:
        return "names" if begin else "nothing"
    # a name may well begin with BM
    known = format_of(begin) not in (None, "BMP") or begin.startswith(tuple(OTHERS)) or is_film(begin)
    return "a picture" if known or re.search(CONTROL, begin) else "names"


def stdin() -> io.BufferedReader:
    if sys.stdin is None:
        raise UsageError("stdin is closed; nothing can be read from it")
    return cast(io.BufferedReader, sys.stdin.buffer)


def lines_of_stdin() -> Iterator[str]:
    stream = stdin()
    begin = stream.peek(3)
    if begin.startswith(UTF_16):  # as Windows PowerShell redirects output
        for text in io.TextIOWrapper(stream, "utf-16", "replace"):
            if name := text.rstrip("\r\n"):
                yield name
        return
    if begin.startswith(codecs.BOM_UTF8):
        stream.read(3)
    for line in parts_ended_by_0(stream) if b"\0" in begin else stream:
        if name := os.fsdecode(line.rstrip(b"\r\n")):
            yield name


def parts_ended_by_0(stream: io.BufferedReader) -> Iterator[bytes]:
    """Names as ``find -print0`` writes them."""
    rest = b""
    while content := stream.read1():
        *names, rest = (rest + content).split(b"\0")
        yield from names
    yield rest


def picture_on_stdin(options: Options) -> Source:
    return Source("stdin", partial(open_content, stdin().read(MAX_BYTES + 1), options), options.wanted)
