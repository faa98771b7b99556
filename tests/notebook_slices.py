"""What an exercise needs of its notebook, and nothing else, so that exercises are tested in seconds.

A notebook trains networks and draws pictures; an exercise at its end uses a few names. `slice_before` walks
back from the exercise through the statements of the notebook and keeps those that make a name that is still
needed, as a debugger's backward slice does.
"""

import ast
import symtable
from dataclasses import dataclass, field


@dataclass
class Names:
    """What some statements of a notebook do to the notebook's names."""

    made: set[str] = field(default_factory=set)     # bound: x = ..., import x, def x, for x in ...
    changed: set[str] = field(default_factory=set)  # in place: x[0] = ..., x.y = ..., x.append(...)
    used: set[str] = field(default_factory=set)     # read when the statement runs
    # read by a function that it defines, whenever that is called
    later: set[str] = field(default_factory=set)


def names_of(*statements: ast.stmt) -> Names:
    table = symtable.symtable(ast.unparse(ast.Module(list(statements), [])), "<notebook>", "exec")
    symbols = table.get_symbols()
    names = Names({symbol.get_name() for symbol in symbols if symbol.is_assigned() or symbol.is_imported()},
                  used={symbol.get_name() for symbol in symbols if symbol.is_referenced()},
                  later={name for scope in table.get_children() for name in _globals_in(scope)})
    for statement in statements:
        for node in ast.walk(statement):
            if isinstance(node, (ast.Attribute, ast.Subscript)) and isinstance(node.ctx, ast.Store):
                names.changed |= _root(node)
            elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and isinstance(
                    node.value.func, ast.Attribute):
                names.changed |= _root(node.value.func)
    return names


def slice_before(statements: list[ast.stmt], wanted: Names) -> list[ast.stmt]:
    """Those of `statements`, in their order, that what follows them needs in order to run; all imports, for
    answers of any kind."""
    imports = [statement for statement in statements if isinstance(statement, (ast.Import, ast.ImportFrom))]
    imported = names_of(*imports).made
    now, whenever, kept = wanted.used | wanted.changed, set(wanted.later), []
    for statement in reversed(statements):
        names = names_of(statement)
        if (names.made | names.changed - imported) & (now | whenever):  # plots.show(...) changes no module
            now = now - names.made | names.used | names.changed
            whenever |= names.later
        elif statement not in imports:
            continue
        kept.append(statement)
    return kept[::-1]


def run(statements: list[ast.stmt], namespace: dict) -> None:
    for statement in statements:
        exec(compile(ast.Module([statement], []), "<notebook>", "exec"), namespace)


def _globals_in(scope: symtable.SymbolTable) -> set[str]:
    """The notebook's names that a function, a lambda or a comprehension reads."""
    own = {
        symbol.get_name() for symbol in scope.get_symbols() if symbol.is_global() and symbol.is_referenced()
    }
    return own.union(*map(_globals_in, scope.get_children()))


def _root(node: ast.AST) -> set[str]:
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return {node.id} if isinstance(node, ast.Name) else set()
