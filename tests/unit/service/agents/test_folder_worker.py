from service.agents.folder_worker import analyse, search


def test_matching_lines_come_with_their_place() -> None:
    """
    A match names its text, its line and the line's words, Windows line ends or not.
    """
    answer = search("b+", ["a\r\n bb \r\n", "", "b"], 10)

    assert {"found": [[0, 2, "bb"], [2, 1, "b"]], "complete": True} == answer


def test_matches_end_at_the_limit() -> None:
    """
    One match more than the limit makes the answer incomplete; as many do not.
    """
    assert search("a", ["a\na\na"], 2)["complete"] is False
    assert search("a", ["a\na"], 2)["complete"] is True


def test_what_is_no_expression_is_an_error() -> None:
    """
    A bad expression is an answer that says why.
    """
    assert "not a regular expression" in str(search("(", ["a"], 1)["error"])
    assert "not a regular expression" in str(search("a{9999999999}", ["a"], 1)["error"])


def test_long_lines_are_searched_at_their_beginning() -> None:
    """
    A line's first ten thousand characters are searched, its first words shown.
    """
    answer = search("x", ["x" + "y" * 20_000, "y" * 20_000 + "x"], 10)

    assert {"found": [[0, 1, "x" + "y" * 299]], "complete": True} == answer


def test_definitions_and_imports_are_found() -> None:
    """
    Functions and classes of any depth, and imports of any form, are found.
    """
    source = (
        "import a.b as c\n"
        "from ..d import e\n"
        "class F:\n"
        "    async def g(self):\n"
        "        'Do.'\n"
    )

    assert {
        "functions": [{"name": "g", "line": 4, "lines": 2, "summary": "Do."}],
        "classes": [{"name": "F", "line": 3, "lines": 3, "summary": ""}],
        "imports": ["..d", "a.b"],
        "has_main_guard": False,
    } == analyse(source)


def test_source_that_is_not_python_is_an_error() -> None:
    """
    A syntax error is an answer that says where.
    """
    assert "not Python" in str(analyse("def (")["error"])
    assert "not Python" in str(analyse("a\0b")["error"])
