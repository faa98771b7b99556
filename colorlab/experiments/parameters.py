"""A notebook's parameters: the assignments of its `parameters` cell, with their types, and values checked
against them.

papermill takes any name and guesses at types (`-p flag false` arrives as the string "false", which is true);
it reads the cell line by line and loses values that hold a `=`. Here the cell is parsed as Python, and what
does not fit is refused before anything runs.
"""

import ast
import difflib
import io
import json
import tokenize
from pathlib import Path
from typing import Any, NamedTuple

from colorlab.files.errors import InputError

WORDS = {
    "true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False
}
LARGEST = 1 << 1000  # larger ints do not fit a float
PLAIN = {"int": int, "float": float, "str": str, "bool": bool, "list": list, "tuple": tuple, "dict": dict}


class Kind(NamedTuple):
    """A type as a parameters cell writes it: `list[int]` is Kind("list", (Kind("int"),))."""

    name: str                # a key of PLAIN, "None", "any", "union" or "literal"
    inner: tuple = ()        # kinds of the items or of the alternatives; for "literal" the values themselves

    def __str__(self) -> str:
        if self.name == "union":
            return " or ".join(str(kind) for kind in self.inner)
        if self.name == "literal":
            return "one of " + ", ".join(repr(value) for value in self.inner)
        return f"{self.name}[{', '.join(str(kind) for kind in self.inner)}]" if self.inner else self.name


class Cell(NamedTuple):
    kind: str        # "code", "markdown" or "raw"
    source: str
    tags: tuple[str, ...]


class Parameter(NamedTuple):
    name: str
    kind: Kind       # from the annotation, else from the default
    default: Any     # the value; the source text where it is not a plain literal
    help: str        # the comment behind the assignment


def read_parameters(notebook: str | Path) -> dict[str, Parameter]:
    """The parameters of a notebook by name, in the order of its cell; empty when no cell is tagged
    `parameters`.

    Raises InputError for a file that is not a notebook, for two tagged cells, and for a cell that is not
    Python.
    """
    tagged = [cell for cell in load_notebook(notebook) if cell.kind == "code" and "parameters" in cell.tags]
    if len(tagged) > 1:
        raise InputError(
            f"{notebook} has {len(tagged)} cells tagged 'parameters'; keep the tag on one of them")
    return parse_cell(tagged[0].source, str(notebook)) if tagged else {}


def load_notebook(path: str | Path) -> list[Cell]:
    """The cells of the notebook at `path`; InputError where there is none, or none of nbformat 4.

    Read as the JSON that it is: nbformat, which would validate it, takes seconds to import, and papermill
    validates it anyway.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} is not there; give the path of an .ipynb file")
    try:
        book = json.loads(path.read_text(encoding="utf-8"))
        if book["nbformat"] != 4:
            raise ValueError(f"nbformat {book['nbformat']}, 4 is wanted")
        return [
            Cell(cell["cell_type"], "".join(cell["source"]), tuple(cell["metadata"].get("tags", ())))
            for cell in book["cells"]
        ]
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise InputError(
            f"{path} cannot be read as a notebook ({one_line(error)}); open and save it in JupyterLab"
        ) from None


def parse_cell(source: str, notebook: str) -> dict[str, Parameter]:
    """The assignments `name = value` and `name: type = value` of a cell's source; other statements are passed
    over."""
    try:
        statements = ast.parse(source).body
    except SyntaxError as error:
        raise InputError(f"the parameters cell of {notebook} is not plain Python (line {error.lineno}: "
                         f"{error.msg})") from None
    except (ValueError, MemoryError, RecursionError) as error:
        raise InputError(
            f"the parameters cell of {notebook} is not plain Python ({one_line(error)})") from None
    comments = {
        token.start[0]: token.string.lstrip("# ").rstrip()
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    found = {}
    for statement in statements:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target, annotation = statement.targets[0], None
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            target, annotation = statement.target, statement.annotation
        else:
            continue
        if isinstance(target, ast.Name):
            default, literal = literal_or_text(ast.unparse(statement.value))
            kind = kind_of_annotation(annotation) if annotation is not None else kind_of_value(
                default) if literal else Kind("any")
            found[target.id] = Parameter(target.id, kind, default, comments.get(statement.end_lineno, ""))
    return found


def literal_or_text(text: str) -> tuple[Any, bool]:
    """(the value, True) where `text` is a Python literal that a run's record can hold, (`text`, False)
    otherwise."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text, False
    return (value, True) if is_plain(value) else (text, False)


def is_plain(value: Any) -> bool:
    """Whether JSON holds a value and gives it back: numbers, text, lists and dicts with text for names; no
    bytes, sets or complex numbers."""
    if isinstance(value, (list, tuple)):
        return all(map(is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(name, str) and is_plain(inner) for name, inner in value.items())
    return value is None or isinstance(value, (bool, int, float, str))


def kind_of_annotation(node: ast.expr) -> Kind:
    """`float | None`, `Optional[int]`, `list[str]`, `Literal["a", "b"]`; "any" for what stands outside
    these."""
    if isinstance(node, ast.Constant):
        if node.value is None:
            return Kind("None")
        try:
            return kind_of_annotation(ast.parse(node.value, mode="eval").body) if isinstance(
                node.value, str) else Kind("any")
        except (SyntaxError, ValueError):
            return Kind("any")
    if isinstance(node, ast.Name):
        return Kind("str") if node.id == "Path" else Kind(node.id if node.id in PLAIN else "any")
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return Kind("union", (kind_of_annotation(node.left), kind_of_annotation(node.right)))
    if isinstance(node, ast.Subscript):
        outer = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
        items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if outer == "Literal":
            values = [literal_or_text(ast.unparse(item)) for item in items]
            return Kind("literal", tuple(value for value, _ in values)) if all(
                literal for _, literal in values) else Kind("any")
        inner = tuple(
            kind_of_annotation(item)
            for item in items
            if not (isinstance(item, ast.Constant) and item.value is ...))
        if outer in ("Optional", "Union"):
            return Kind("union", inner + ((Kind("None"),) if outer == "Optional" else ()))
        return (
            Kind(outer, inner[:1]) if outer in ("list", "tuple") else Kind(outer if outer in PLAIN else "any")
        )
    return Kind("any")


def kind_of_value(value: Any) -> Kind:
    """The kind inferred from a default: None gives none; a list gives an item kind if all its items share
    it."""
    if value is None:
        return Kind("any")
    if isinstance(value, (list, tuple)):
        inner = {kind_of_value(item) for item in value}
        return Kind(type(value).__name__, tuple(inner) if len(inner) == 1 else ())
    return Kind(type(value).__name__ if type(value).__name__ in PLAIN else "any")


def fits(value: Any, kind: Kind) -> bool:
    """Whether a value is acceptable for `kind`: an int for a float and a list for a tuple, but not a bool for
    an int."""
    if kind.name == "any":
        return True
    if kind.name == "union":
        return any(fits(value, alternative) for alternative in kind.inner)
    if kind.name == "literal":
        return any(value == allowed and type(value) is type(allowed) for allowed in kind.inner)
    if kind.name == "None" or value is None:
        return kind.name == "None" and value is None
    if kind.name in ("list", "tuple"):
        return isinstance(value,
                          (list, tuple)) and all(fits(item, inner) for item in value for inner in kind.inner)
    if isinstance(value, bool):
        return kind.name == "bool"
    return isinstance(value, (int, float) if kind.name == "float" else PLAIN[kind.name])


def read_value(text: str, parameter: Parameter, notebook: str = "the notebook") -> Any:
    """A value typed on a command line, read as its parameter's kind: "007" is a string for str and 7 for
    int."""
    value = parse_text(text, parameter.kind)
    return check_value(value, parameter, notebook)


def parse_text(text: str, kind: Kind) -> Any:
    """`text` as a value of `kind` where it is one; the text itself where it is not (`fits` then says no)."""
    if kind.name == "union":  # a string accepts any text, so it comes last
        for alternative in sorted(kind.inner, key=lambda inner: inner.name == "str"):
            if fits(value := parse_text(text, alternative), alternative):
                return value
    if kind.name == "bool":
        return WORDS.get(text.lower(), text)
    if kind.name == "None":
        return None if text.lower() in ("none", "null") else text
    if kind.name in ("list", "tuple") and not text.lstrip().startswith(("[", "(")):
        inner = kind.inner[0] if kind.inner else Kind("any")
        return [parse_text(item.strip(), inner) for item in text.split(",") if item.strip()]
    if kind.name == "literal":
        return next((allowed for allowed in kind.inner if str(allowed) == text), text)
    if kind.name == "int":
        try:
            return int(text) if "_" not in text else text
        except ValueError:
            return text
    if kind.name == "float":
        try:
            return float(text)
        except ValueError:
            return text
    return text if kind.name in ("str", "union") else literal_or_text(text)[0]


def check_value(value: Any, parameter: Parameter, notebook: str = "the notebook") -> Any:
    """`value` as papermill can write it down (tuples as lists, paths as text, ints as floats where a float is
    wanted).

    Raises InputError when it does not fit the parameter.
    """
    value = str(value) if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value
    if (
        not fits(value, parameter.kind)
        or not is_plain(value)
        or (isinstance(value, int) and abs(value) > LARGEST)
    ):
        got = value if len(shown := repr(value)) <= 80 else shown[:77] + "..."
        raise InputError(f"{parameter.name} of {notebook} is {parameter.kind} (default "
                         f"{parameter.default!r}), got {got!r}")
    return float(value) if parameter.kind.name == "float" else value


def check_values(values: dict[str, Any], notebook: str | Path, as_text: bool = False) -> dict[str, Any]:
    """All values for one notebook, checked, in the order of its cell; InputError names the one that is
    unknown or does not fit.

    as_text: the values are strings from a command line and are read as their parameter's kind.
    """
    known, name = read_parameters(notebook), Path(notebook).name
    for unknown in (given for given in values if given not in known):
        if not known:
            raise InputError(f"{name} takes no parameters: no cell is tagged 'parameters' (tag one in "
                             "JupyterLab's property inspector)")
        close = difflib.get_close_matches(unknown, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(known)}"
        raise InputError(f"{name} has no parameter {unknown!r}; {hint}")
    read = read_value if as_text else check_value
    return {given: read(values[given], known[given], name) for given in known if given in values}


def one_line(error: BaseException) -> str:
    """An error's message on one line of at most 200 characters."""
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else text[:197] + "..."
