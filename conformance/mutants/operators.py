"""Every small mistake in a Python file: the mutations that its syntax tree suggests.

Each operator is a method of ``_Mutator`` named for the nodes it looks at; it yields the text to put
in place of a node. Texts are replaced, and the tree is not printed anew, so that a mutation reads
like the line that somebody could have written.

Left alone is what no program can see or no specification says: comments, docstrings, annotations,
imports, ``__all__``, the order of names in ``__slots__``, and the texts of exceptions.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mutants.mutation import Mutation

_COMPARISONS: dict[type[ast.cmpop], list[str]] = {
    ast.Eq: ["!="],
    ast.NotEq: ["=="],
    ast.Is: ["is not"],
    ast.IsNot: ["is"],
    ast.In: ["not in"],
    ast.NotIn: ["in"],
    ast.Lt: ["<=", ">="],
    ast.LtE: ["<", ">"],
    ast.Gt: [">=", "<="],
    ast.GtE: [">", "<"],
}
_ARITHMETIC: dict[type[ast.operator], str] = {
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "//",
    ast.FloorDiv: "*",
    ast.BitAnd: "|",
    ast.BitOr: "&",
}
_EXCEPTIONS = ("AttributeError", "TypeError", "ValueError", "RuntimeError")

#: The place of a node, what to put there, and the operator's name.
_Found = tuple[int, int, str, str]


def mutations(target: str, file: str, text: str) -> list[Mutation]:
    """All mutations of a file, from top to bottom, each once."""
    found: dict[tuple[int, int, str], Mutation] = {}
    for where, (start, end, new, what) in _Mutator(text).everywhere():
        if text[start:end] != new:
            mutation = Mutation(target, file, text, start, end, new, where, what)
            found.setdefault((start, end, new), mutation)
    return sorted(found.values(), key=lambda m: (m.start, m.end))


class _Mutator:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tree = ast.parse(text)
        # Columns of the tree count bytes.
        self.starts = [0]
        for line in text.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.lines = [line.encode() for line in text.splitlines()]
        self.states = self._enumerations()
        functions = [node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef)]
        self.last = {node.body[-1] for node in functions}
        slots = [node for node in ast.walk(self.tree) if _defines(node, "__slots__")]
        self.slots = {below for node in slots for below in ast.walk(node)}

    def everywhere(self) -> Iterator[tuple[str, _Found]]:
        """What each operator finds, with the name of the function that it is in."""
        yield from self._below(self.tree, "")

    def _below(self, node: ast.AST, where: str) -> Iterator[tuple[str, _Found]]:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            where = f"{where}.{_name(node)}" if where else _name(node)
        for kind in type(node).__mro__:
            operator = getattr(self, f"_{kind.__name__}", None)
            for found in operator(node) if operator else ():
                yield where or "<module>", found
        for child in self._children(node):
            yield from self._below(child, where)

    def _children(self, node: ast.AST) -> Iterator[ast.AST]:
        """The nodes below that are worth a mutation."""
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "type_comment") or isinstance(node, ast.JoinedStr):
                continue
            for child in value if isinstance(value, list) else [value]:
                skipped = (ast.Import, ast.ImportFrom, ast.JoinedStr)
                if not isinstance(child, ast.AST) or isinstance(child, skipped):
                    continue
                if not _is_text(child, node) and not _defines(child, "__all__"):
                    yield child

    # --- places ---

    def _offset(self, line: int, column: int) -> int:
        return self.starts[line - 1] + len(self.lines[line - 1][:column].decode())

    def _span(self, node: ast.AST) -> tuple[int, int]:
        line, column = node.lineno, node.col_offset  # type: ignore[attr-defined]
        end_line, end_column = node.end_lineno, node.end_col_offset  # type: ignore[attr-defined]
        return self._offset(line, column), self._offset(end_line, end_column)

    def _source(self, node: ast.AST) -> str:
        start, end = self._span(node)
        return self.text[start:end]

    def _put(self, node: ast.AST, new: str, what: str) -> _Found:
        start, end = self._span(node)
        return start, end, new, what

    def _between(self, left: ast.AST, right: ast.AST, old: str, new: str, what: str) -> _Found:
        """Replaces an operator, which has no place of its own in the tree."""
        start, end = self._span(left)[1], self._span(right)[0]
        between = self.text[start:end]
        return start, end, between.replace(old, new, 1), what

    # --- statements ---

    def _stmt(self, node: ast.stmt) -> Iterator[_Found]:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Pass)):
            return
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            return
        if isinstance(node, ast.AnnAssign) and node.value is None:
            return
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return
        yield self._put(node, "pass", "removed statement")

    def _Return(self, node: ast.Return) -> Iterator[_Found]:
        # At the end of a function, that is what removing it does.
        if node.value is not None and node not in self.last and not _is_constant(node.value, None):
            yield self._put(node.value, "None", "answers None")

    def _Raise(self, node: ast.Raise) -> Iterator[_Found]:
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        if isinstance(raised, ast.Name) and isinstance(node.exc, ast.Call):
            others = [e for e in _EXCEPTIONS if e != raised.id]
            yield self._put(raised, others[0], "other exception")

    def _ExceptHandler(self, node: ast.ExceptHandler) -> Iterator[_Found]:
        if node.type is None:
            return
        for wider_or_narrower in ("BaseException", "Exception", "ZeroDivisionError"):
            yield self._put(node.type, wider_or_narrower, "catches something else")

    def _Break(self, node: ast.Break) -> Iterator[_Found]:
        yield self._put(node, "continue", "break and continue")

    def _Continue(self, node: ast.Continue) -> Iterator[_Found]:
        yield self._put(node, "break", "break and continue")

    def _AugAssign(self, node: ast.AugAssign) -> Iterator[_Found]:
        other = _ARITHMETIC.get(type(node.op))
        if other:
            old = self.text[self._span(node.target)[1] : self._span(node.value)[0]].strip()
            yield self._between(node.target, node.value, old, f"{other}=", "arithmetic")

    def _While(self, node: ast.While) -> Iterator[_Found]:
        start, _ = self._span(node)
        yield start, start + len("while"), "if", "loops once"

    # --- conditions ---

    def _negated(self, test: ast.expr) -> Iterator[_Found]:
        # A comparison or a ``not`` is negated by an operator of its own.
        if not isinstance(test, (ast.Compare, ast.UnaryOp)):
            yield self._put(test, f"not ({self._source(test)})", "negated condition")

    def _If(self, node: ast.If) -> Iterator[_Found]:
        yield from self._negated(node.test)

    def _IfExp(self, node: ast.IfExp) -> Iterator[_Found]:
        yield from self._negated(node.test)
        yield self._put(node, self._source(node.body), "one branch")
        yield self._put(node, self._source(node.orelse), "one branch")

    def _BoolOp(self, node: ast.BoolOp) -> Iterator[_Found]:
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:]):
            yield self._between(left, right, old, new, "and and or")
        for value in node.values:
            rest = [self._source(v) for v in node.values if v is not value]
            yield self._put(node, f" {old} ".join(rest), "condition left out")

    def _UnaryOp(self, node: ast.UnaryOp) -> Iterator[_Found]:
        yield self._put(node, self._source(node.operand), "operator left out")

    def _Compare(self, node: ast.Compare) -> Iterator[_Found]:
        left = node.left
        for operator, right in zip(node.ops, node.comparators):
            start, end = self._span(left)[1], self._span(right)[0]
            for new in _COMPARISONS[type(operator)]:
                yield start, end, f" {new} ", "comparison"
            left = right

    # --- values ---

    def _BinOp(self, node: ast.BinOp) -> Iterator[_Found]:
        other = _ARITHMETIC.get(type(node.op))
        if other:
            old = self.text[self._span(node.left)[1] : self._span(node.right)[0]].strip(" ()\n")
            yield self._between(node.left, node.right, old, other, "arithmetic")

    def _Constant(self, node: ast.Constant) -> Iterator[_Found]:
        if isinstance(node.value, bool):
            yield self._put(node, str(not node.value), "constant")
        elif isinstance(node.value, int):
            yield self._put(node, str(node.value + 1), "constant")
        elif isinstance(node.value, str):
            yield self._put(node, repr(node.value + "x"), "constant")
        elif node.value is None:
            yield self._put(node, "...", "constant")

    def _Name(self, node: ast.Name) -> Iterator[_Found]:
        if isinstance(node.ctx, ast.Load) and node.id in self.states:
            names = self.states[node.id]
            yield self._put(node, names[(names.index(node.id) + 1) % len(names)], "other state")

    def _enumerations(self) -> dict[str, list[str]]:
        """Constants that are defined together, as ``A, B, C = ...`` at the top."""
        together: dict[str, list[str]] = {}
        for node in self.tree.body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            for target in targets:
                if isinstance(target, ast.Tuple):
                    names = [e.id for e in target.elts if isinstance(e, ast.Name)]
                    together.update(dict.fromkeys(names, names))
        return together

    # --- calls ---

    def _Call(self, node: ast.Call) -> Iterator[_Found]:
        yield from self._swapped(node.args)
        argument = node.args[0] if len(node.args) == 1 and not node.keywords else None
        if argument and not isinstance(argument, ast.Starred) and not _is_text(argument, node):
            yield self._put(node, self._source(argument), "call left out")
        for keyword in node.keywords:
            if keyword.arg is None:
                yield self._left_out(keyword, "argument left out")
        for argument in node.args:
            if isinstance(argument, ast.Starred):
                yield self._left_out(argument, "argument left out")

    def _left_out(self, node: ast.AST, what: str) -> _Found:
        return self._put(node, "**{}" if isinstance(node, ast.keyword) else "*()", what)

    def _Tuple(self, node: ast.Tuple) -> Iterator[_Found]:
        if isinstance(node.ctx, ast.Load) and node not in self.slots:
            yield from self._swapped(node.elts)

    def _swapped(self, nodes: list[ast.expr]) -> Iterator[_Found]:
        for left, right in zip(nodes, nodes[1:]):
            if isinstance(left, ast.Starred) or isinstance(right, ast.Starred):
                continue
            (start, middle), (other, end) = self._span(left), self._span(right)
            new = self._source(right) + self.text[middle:other] + self._source(left)
            yield start, end, new, "swapped"

    # --- definitions ---

    def _FunctionDef(self, node: ast.FunctionDef) -> Iterator[_Found]:
        yield from self._undecorated(node)

    def _ClassDef(self, node: ast.ClassDef) -> Iterator[_Found]:
        yield from self._undecorated(node)
        for base in node.bases:
            yield self._put(base, "object", "other base")

    def _undecorated(self, node: ast.FunctionDef | ast.ClassDef) -> Iterator[_Found]:
        for decorator in node.decorator_list:
            start, end = self._span(decorator)
            yield start - len("@"), end, "", "removed decorator"

    def _arguments(self, node: ast.arguments) -> Iterator[_Found]:
        for default in [*node.defaults, *node.kw_defaults]:
            if default is not None and not isinstance(default, ast.Constant):
                yield self._put(default, "None", "other default")


def _name(node: ast.ClassDef | ast.FunctionDef) -> str:
    """Its name; that of a property's setter tells it from the others of that name."""
    roles = [d.attr for d in node.decorator_list if isinstance(d, ast.Attribute)]
    return ".".join([node.name, *(role for role in roles if role in ("setter", "deleter"))])


def _is_constant(node: ast.AST, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def _defines(node: ast.AST, name: str) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else []
    return any(isinstance(target, ast.Name) and target.id == name for target in targets)


def _is_text(node: ast.AST, parent: ast.AST) -> bool:
    """Whether this is a docstring, or what an exception says."""
    if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        return False
    if isinstance(parent, ast.Expr):
        return True
    return isinstance(parent, ast.Call) and (
        isinstance(parent.func, ast.Name) and parent.func.id.lower().endswith("error")
    )
