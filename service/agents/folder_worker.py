"""The part of the folder tools that hostile input can hang or crash.

A regular expression may take for ever, holding the interpreter's lock; deeply nested
source may overflow Python's parser. So both run here, in a process of their own that
can be killed: one JSON request on standard input, one JSON answer on standard output.
Standard library only; it opens no file.
"""

import ast
import json
import re
import resource
import sys
from collections.abc import Iterator
from typing import TypeAlias

Found: TypeAlias = list[object]

_CPU_SECONDS = 20  # also ends a worker whose parent died
_MEMORY_BYTES = 2 * 1024**3
_LINE_CHARS = 300
_SEARCHED_LINE_CHARS = 10_000


def search(pattern: str, texts: list[str], limit: int) -> dict[str, object]:
    """Return `[text's index, line number, line]` of matching lines, at most `limit`."""
    try:
        expression = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as exc:
        return {"error": f"not a regular expression: {exc}"}
    found: list[Found] = []
    for index, text in enumerate(texts):
        for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
            if expression.search(line[:_SEARCHED_LINE_CHARS]):
                if len(found) == limit:
                    return {"found": found, "complete": False}
                found.append([index, number, line.strip()[:_LINE_CHARS]])
    return {"found": found, "complete": True}


def analyse(source: str) -> dict[str, object]:
    """Return the definitions and imports of Python source."""
    try:
        tree = ast.parse(source)
        nodes = list(ast.walk(tree))
    except (SyntaxError, ValueError) as exc:
        return {"error": f"not Python: {exc}"}
    except (RecursionError, MemoryError):
        return {"error": "not Python that this interpreter can parse: nested too deep"}
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    return {
        "functions": [_definition(n) for n in nodes if isinstance(n, functions)],
        "classes": [_definition(n) for n in nodes if isinstance(n, ast.ClassDef)],
        "imports": sorted({name for node in nodes for name in _imported(node)}),
        "has_main_guard": any(_is_main_guard(node) for node in tree.body),
    }


def _definition(
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef,
) -> dict[str, object]:
    doc = ast.get_docstring(node) or ""
    return {
        "name": node.name,
        "line": node.lineno,
        "lines": (node.end_lineno or node.lineno) - node.lineno + 1,
        "summary": doc.strip().split("\n")[0][:_LINE_CHARS],
    }


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield "." * node.level + (node.module or "")


def _is_main_guard(node: ast.stmt) -> bool:
    if not isinstance(node, ast.If) or not isinstance(node.test, ast.Compare):
        return False
    left = node.test.left
    return isinstance(left, ast.Name) and left.id == "__name__"


def _limit_self() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    if sys.platform == "linux":  # elsewhere it is not enforced, or refused
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))


def main() -> None:
    _limit_self()
    request = json.load(sys.stdin)
    if request["do"] == "search":
        answer = search(request["pattern"], request["texts"], request["limit"])
    else:
        answer = analyse(request["source"])
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
