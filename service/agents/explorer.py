"""A real agent on real input, without a language model.

It reads a folder with the same tools a model would use: it lists, summarises, reads
what matters, analyses the largest modules, follows what it finds, and concludes. Its
plan depends on nothing but the folder and the question, so it can be repeated.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TypeVar

from service.agents.bridge import AgentWebSocketBridge
from service.agents.dispatcher import UnifiedToolDispatcher
from service.agents.folder import Folder
from service.agents.folder_answers import (
    Excerpt,
    Languages,
    Listing,
    Matches,
    PythonFile,
)
from service.agents.folder_tools import MAX_FOUND, register_folder_tools

T = TypeVar("T")

AGENT = "folder-explorer"
MAX_READ = 12
MAX_ANALYSED = 30
MAX_FOLLOWED = 24
MAX_ASKED = 8
_ROOTS_OF_INTEREST = (
    "readme",
    "pyproject.toml",
    "package.json",
    "go.mod",
    "cargo.toml",
    "pom.xml",
    "makefile",
    "dockerfile",
    "setup.py",
    "requirements.txt",
    "contributing",
    "changelog",
    "license",
)
# One search each: where a program of the language begins.
_BEGINNINGS: Mapping[str, tuple[str, str]] = {
    "C": (r"^\s*int\s+main\s*\(", ".c"),
    "C++": (r"^\s*int\s+main\s*\(", ".cpp"),
    "Go": (r"^func main\(", ".go"),
    "Java": (r"public static void main\(", ".java"),
    "JavaScript": (r"\.listen\(|^#!.*node", ".js"),
    "Python": (r"^if __name__ ==", ".py"),
    "Rust": (r"^\s*(?:async )?fn main\(", ".rs"),
    "Shell": (r"^#!", ".sh"),
}
_NOT_WORTH_ASKING = frozenset(
    {
        "about",
        "does",
        "from",
        "have",
        "here",
        "that",
        "there",
        "this",
        "what",
        "when",
        "where",
        "which",
        "with",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """Something found, and how much of it."""

    name: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What the explorer found. `text` says it in sentences."""

    folder: str
    files: int
    languages: tuple[Ranked, ...]  # by lines
    largest_files: tuple[Ranked, ...]  # by bytes
    largest_modules: tuple[Ranked, ...]  # by lines, of those analysed
    longest_functions: tuple[Ranked, ...]  # by lines, as path:line name
    most_imported: tuple[Ranked, ...]  # by modules that import it
    most_mentioned: tuple[Ranked, ...]  # definitions, by lines that name them
    entry_points: tuple[str, ...]
    todos: int  # at most MAX_FOUND are counted
    answer: tuple[str, ...]  # lines that speak of the question's words
    tool_calls: int
    tool_failures: int
    complete: bool
    text: str


async def explore(
    folder: Path,
    dispatcher: UnifiedToolDispatcher,
    bridge: AgentWebSocketBridge,
    *,
    question: str | None = None,
) -> Summary:
    """Explore a folder, telling the bridge's user all along; return the findings.

    Args:
        folder: What to explore; nothing outside it is read.
        dispatcher: Its timeout and threads are used; its own tools are not.
        bridge: The way to the user; the run begins and ends here.
        question: What the user would like to know; its words are searched for.

    Raises:
        FolderError: there is no such folder.
    """
    request = {"folder": folder.name, "question": question}
    async with bridge.run(agent=AGENT, request=request) as run:
        with Folder(folder) as opened:
            tools = dispatcher.for_run(bridge, inherit=False)
            register_folder_tools(tools, opened)
            explorer = _Explorer(tools=tools, bridge=bridge, name=opened.name)
            summary = await explorer.explore(question or "")
        run.result = summary
    return summary


@dataclass(kw_only=True)
class _Explorer:
    """One exploration under way."""

    tools: UnifiedToolDispatcher
    bridge: AgentWebSocketBridge
    name: str
    calls: int = 0
    failures: int = 0
    complete: bool = True
    modules: list[PythonFile] = field(default_factory=list)
    mentions: Counter[str] = field(default_factory=Counter)
    entry_points: list[str] = field(default_factory=list)
    answer: list[str] = field(default_factory=list)

    async def explore(self, question: str) -> Summary:
        listing = await self.ask(Listing, "list_files")
        languages = await self.ask(Languages, "language_summary")
        largest = await self.ask(Listing, "largest_files", limit=20)
        todos = await self.ask(Matches, "find_todos")
        paths = [file.path for file in listing.files] if listing else []
        self.complete = bool(listing and listing.complete)
        await self._say_overview(listing, languages)
        by_size = _by_size(listing)
        steps = self._plan(paths, by_size, languages, question)
        await self.bridge.progress(self.calls, total=self.calls + steps)
        await self._read_important(paths, by_size)
        await self._analyse(by_size)
        await self._find_entry_points(languages)
        await self._follow_definitions()
        await self._answer(question)
        return self._summary(listing, languages, largest, todos)

    async def ask(self, answer: type[T], tool: str, **arguments: object) -> T | None:
        """Run a tool; a failed one is counted, and the exploration goes on."""
        self.calls += 1
        result = await self.tools.run(tool, arguments)
        if result.ok and isinstance(result.value, answer):
            return result.value
        self.failures += 1
        return None

    async def _say_overview(
        self, listing: Listing | None, languages: Languages | None
    ) -> None:
        if not listing or not listing.files:
            await self._think(f"{self.name} has no readable files.")
            return
        known = languages.languages[:3] if languages else ()
        most = ", ".join(f"{each.language} ({each.lines} lines)" for each in known)
        where = f"{listing.total} files in {listing.folders + 1} folders"
        await self._think(f"{self.name}: {where}; most of it {most or 'unknown'}.")

    def _plan(
        self,
        paths: Sequence[str],
        by_size: Sequence[str],
        languages: Languages | None,
        question: str,
    ) -> int:
        """Return about how many more tool calls there will be."""
        python = sum(path.endswith(".py") for path in by_size)
        read = len(_important(paths)) or min(len(by_size), MAX_READ)
        begun = len(_begun(languages))
        followed = MAX_FOLLOWED if python else 0
        words = len(_words(question))
        return read + min(python, MAX_ANALYSED) + begun + followed + words

    async def _read_important(
        self, paths: Sequence[str], by_size: Sequence[str]
    ) -> None:
        # Without a single known name: the largest files say most.
        chosen = _important(paths) or list(by_size[:MAX_READ])
        for path in chosen:
            excerpt = await self.ask(Excerpt, "read_file", path=path, max_lines=200)
            if excerpt and excerpt.text.strip():
                await self._think(f"{path} begins: {_first_words(excerpt.text)}")
        await self._progress("read the files that describe the folder")

    async def _analyse(self, by_size: Sequence[str]) -> None:
        chosen = [path for path in by_size if path.endswith(".py")][:MAX_ANALYSED]
        for path in chosen:
            module = await self.ask(PythonFile, "analyse_python", path=path)
            if module:
                self.modules.append(module)
            if self.calls % 10 == 0:
                await self._say_module(module)
                await self._progress(f"analysed {len(self.modules)} modules")
        if self.modules:
            functions = sum(len(module.functions) for module in self.modules)
            classes = sum(len(module.classes) for module in self.modules)
            await self._think(
                f"The {len(self.modules)} largest modules define {functions} functions"
                f" and {classes} classes."
            )

    async def _say_module(self, module: PythonFile | None) -> None:
        if module is None or not module.functions:
            return
        longest = max(module.functions, key=lambda function: function.lines)
        await self._think(
            f"{module.path} has {module.lines} lines and {len(module.functions)}"
            f" functions; {longest.name} is the longest, {longest.lines} lines."
        )

    async def _find_entry_points(self, languages: Languages | None) -> None:
        for pattern, suffix in _begun(languages):
            found = await self.ask(
                Matches, "search_text", query=pattern, regex=True, suffix=suffix
            )
            for match in found.matches if found else ():
                self.entry_points.append(f"{match.path}:{match.line}")
        if self.entry_points:
            first = ", ".join(self.entry_points[:5])
            await self._think(f"Programs begin at {first}.")

    async def _follow_definitions(self) -> None:
        for name in _worth_following(self.modules)[:MAX_FOLLOWED]:
            found = await self.ask(Matches, "search_text", query=name, limit=200)
            if found:
                self.mentions[name] = len(found.matches)
        if self.mentions:
            name, count = self.mentions.most_common(1)[0]
            await self._think(f"{name} is named most often, on {count} lines.")
        await self._progress("followed the definitions found")

    async def _answer(self, question: str) -> None:
        for word in _words(question):
            pattern = f"(?i){re.escape(word)}"
            found = await self.ask(
                Matches, "search_text", query=pattern, regex=True, limit=5
            )
            for match in found.matches if found else ():
                self.answer.append(f"{match.path}:{match.line}: {match.text}")
        if self.answer:
            await self._think(f"On the question, first of all {self.answer[0]}")

    async def _think(self, text: str) -> None:
        await self.bridge.agent_thinking(text, step=self.calls)

    async def _progress(self, text: str) -> None:
        await self.bridge.progress(self.calls, text=text)

    def _summary(
        self,
        listing: Listing | None,
        languages: Languages | None,
        largest: Listing | None,
        todos: Matches | None,
    ) -> Summary:
        spoken = languages.languages if languages else ()
        files = largest.files if largest else ()
        found = _Findings(
            languages=tuple(Ranked(name=s.language, count=s.lines) for s in spoken),
            modules=_top(Counter({m.path: m.lines for m in self.modules})),
            functions=_longest_functions(self.modules),
            imported=_top(_imports(self.modules)),
        )
        total = listing.total if listing else 0
        todo_count = len(todos.matches) if todos else 0
        return Summary(
            folder=self.name,
            files=total,
            languages=found.languages,
            largest_files=tuple(
                Ranked(name=file.path, count=file.size_bytes) for file in files[:10]
            ),
            largest_modules=found.modules,
            longest_functions=found.functions,
            most_imported=found.imported,
            most_mentioned=_top(self.mentions),
            entry_points=tuple(self.entry_points[:50]),
            todos=todo_count,
            answer=tuple(self.answer),
            tool_calls=self.calls,
            tool_failures=self.failures,
            complete=self.complete,
            text=_sentences(self.name, total, todo_count, found),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Findings:
    languages: tuple[Ranked, ...]
    modules: tuple[Ranked, ...]
    functions: tuple[Ranked, ...]
    imported: tuple[Ranked, ...]


def _by_size(listing: Listing | None) -> list[str]:
    files = listing.files if listing else ()
    ordered = sorted(files, key=lambda file: (-file.size_bytes, file.path))
    return [file.path for file in ordered if file.size_bytes]


def _important(paths: Sequence[str]) -> list[str]:
    """Return the files that describe the folder, those nearest its root first."""
    named = [
        path
        for path in paths
        if PurePosixPath(path).name.lower().startswith(_ROOTS_OF_INTEREST)
    ]
    return sorted(named, key=lambda path: (path.count("/"), path))[:MAX_READ]


def _begun(languages: Languages | None) -> list[tuple[str, str]]:
    spoken = [each.language for each in languages.languages] if languages else []
    return [_BEGINNINGS[name] for name in spoken if name in _BEGINNINGS]


def _words(question: str) -> list[str]:
    words = re.findall(r"\w{4,}", question.lower())
    return [w for w in dict.fromkeys(words) if w not in _NOT_WORTH_ASKING][:MAX_ASKED]


def _first_words(text: str) -> str:
    return " ".join(text.split())[:160]


def _worth_following(modules: Sequence[PythonFile]) -> list[str]:
    """Return names of public definitions: classes, then functions, largest first."""
    classes = [c for m in modules for c in m.classes if not c.name.startswith("_")]
    functions = [f for m in modules for f in m.functions if not f.name.startswith("_")]
    ordered = sorted(classes, key=lambda c: -c.lines)[: MAX_FOLLOWED // 2]
    ordered += sorted(functions, key=lambda f: -f.lines)
    return list(dict.fromkeys(definition.name for definition in ordered))


def _longest_functions(modules: Sequence[PythonFile]) -> tuple[Ranked, ...]:
    lengths = {
        f"{module.path}:{function.line} {function.name}": function.lines
        for module in modules
        for function in module.functions
    }
    return _top(Counter(lengths))


def _imports(modules: Sequence[PythonFile]) -> Counter[str]:
    """Count the modules that import each other module or package."""
    return Counter(
        name for module in modules for name in module.imports if name.strip(".")
    )


def _top(counts: Counter[str]) -> tuple[Ranked, ...]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:10]
    return tuple(Ranked(name=name, count=count) for name, count in ordered)


def _sentences(folder: str, files: int, todos: int, found: _Findings) -> str:
    if not files:
        return f"{folder} holds no readable files."
    sentences = [f"{folder} holds {files} files."]
    if found.languages:
        most = found.languages[0]
        sentences.append(f"Most of it is {most.name} ({most.count} lines).")
    if found.modules:
        first = found.modules[0]
        sentences.append(f"Its largest module is {first.name} ({first.count} lines).")
    if found.functions:
        first = found.functions[0]
        sentences.append(f"Its longest function is {first.name} ({first.count} lines).")
    if found.imported:
        first = found.imported[0]
        sentences.append(f"Most modules import {first.name} ({first.count}).")
    at_least = "At least " if todos == MAX_FOUND else ""
    sentences.append(f"{at_least}{todos} lines are marked as to be done.")
    return " ".join(sentences)
