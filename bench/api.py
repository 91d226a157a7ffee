"""What Python users import, as Markdown, from its docstrings: the reference in docs/python-api.md."""

import ast
import inspect
import re
import textwrap

import fmnist_edge

ERRORS = ("FmnistEdgeError", "InputError", "PictureError", "ModelError", "RuntimeUnavailableError", "UsageError")


def api() -> str:
    """A heading for each class, function and property, with its signature and docstring."""
    parts = [of_class(name) for name in ("Classifier", "Prediction")]
    classes = ", ".join(f"`{label}`" for label in fmnist_edge.CLASSES)
    parts.append(f"### CLASSES\n\nThe ten labels, in the order of `class_id`: {classes}.\n")
    rows = [f"| `{name}` | `{base_of(name)}` | {paragraphs(getattr(fmnist_edge, name).__doc__, ())} |" for name in ERRORS]
    parts.append("### Errors\n\n" + "\n".join(["| error | is a | raised when |", "|---|---|---|", *rows]) + "\n")
    return "\n".join(parts)


def of_class(name: str) -> str:
    kind = getattr(fmnist_edge, name)
    names = tuple(inspect.signature(kind).parameters)
    parts = [f"### {name}\n\n```text\n{name}{signature_of(kind)}\n```\n\n{paragraphs(kind.__doc__, names)}\n", *fields_of(kind)]
    for member, value in vars(kind).items():
        if member.startswith("_"):
            continue
        if isinstance(value, property):
            told = paragraphs(value.fget.__doc__ if value.fget else None, ())
            parts.append(f"#### {name}.{member}\n" + (f"\n{told}\n" if told else ""))
        elif inspect.isfunction(value):
            told = paragraphs(value.__doc__, tuple(inspect.signature(value).parameters))
            parts.append(f"#### {name}.{member}\n\n```text\n{member}{signature_of(value)}\n```\n\n{told}\n")
    return "\n".join(parts)


def fields_of(kind: type) -> list[str]:
    """A dataclass's fields with the text under each."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(body, ast.ClassDef)
    return [
        f"#### {kind.__name__}.{ast.unparse(field.target)}\n\n{paragraphs(text.value.value, ())}\n"
        for field, text in zip(body.body, body.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    ]


def signature_of(thing: object) -> str:
    """Its parameters and defaults; what may be given for them is in the docstring."""
    assert callable(thing)
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in inspect.signature(thing).parameters.values()
        if parameter.name != "self"
    ]
    return str(inspect.Signature(parameters))


def paragraphs(docstring: str | None, names: tuple[str, ...]) -> str:
    """A docstring as Markdown: ``x`` is code, and a line that begins with a parameter's name is a list's item."""
    text = inspect.cleandoc(docstring or "").replace("``", "`")
    lines: list[str] = []
    for line in text.splitlines():
        begins = re.match(r"(\w+(?:, \w+)*): ", line)
        if begins and set(begins[1].split(", ")) <= set(names):
            item = f"- `{begins[1]}`: {line[begins.end() :]}"
            lines += [item] if not lines or lines[-1].startswith(("- ", "  ")) else [*([""] if lines[-1] else []), item]
        elif line and lines and lines[-1].startswith(("- ", "  ")):
            lines += ["", line] if line.startswith("Raises ") else [f"  {line}"]
        else:
            lines.append(line)
    return "\n".join(lines)


def base_of(name: str) -> str:
    return str(getattr(fmnist_edge, name).__base__.__name__)
