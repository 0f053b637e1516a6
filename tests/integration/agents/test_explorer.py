"""The explorer and the model's loop on real folders, with real tools."""

import json
from pathlib import Path

import msgspec
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

import service
from service.agents.bridge import AgentWebSocketBridge
from service.agents.dispatcher import UnifiedToolDispatcher
from service.agents.explorer import Summary, explore
from service.agents.folder import Folder, FolderError
from service.agents.folder_tools import register_folder_tools
from service.agents.model import Anthropic, ModelError, OpenAI, Provider, ask_model
from tests.fakes.publisher import RecordingPublisher
from tests.integration.agents.http_service import http_service

pytestmark = pytest.mark.integration

# Real input, always there: this project's own source.
SOURCE = Path(service.__file__).parent


def agent_of(
    publisher: RecordingPublisher,
) -> tuple[UnifiedToolDispatcher, AgentWebSocketBridge]:
    bridge = AgentWebSocketBridge(publisher, user_id="ana", run_id="run-1")
    return UnifiedToolDispatcher(bridge), bridge


async def explored(folder: Path, question: str | None = None) -> Summary:
    return await explore(folder, *agent_of(RecordingPublisher()), question=question)


async def test_a_real_project_is_explored() -> None:
    """
    Exploring this project's source makes 40 to 120 real calls and finds what is there.
    """
    publisher = RecordingPublisher()
    dispatcher, bridge = agent_of(publisher)
    question = "How are receipts published?"
    summary = await explore(SOURCE, dispatcher, bridge, question=question)

    assert 40 <= summary.tool_calls <= 120
    assert 0 == summary.tool_failures
    assert "Python" == summary.languages[0].name
    assert any("__main__" in m or "py:" in m for m in summary.entry_points)
    assert any("receipts" in line.lower() for line in summary.answer)
    assert summary.longest_functions[0].count > 10
    assert publisher.types.count("tool_executing") == summary.tool_calls
    assert publisher.types.count("tool_completed") == summary.tool_calls
    assert publisher.types.count("agent_thinking") >= 5
    assert "progress" in publisher.types
    assert ("agent_started", "agent_completed") == (
        publisher.types[0],
        publisher.types[-1],
    )
    told = publisher.data("agent_completed")[0]["result"]
    assert summary.text == msgspec.convert(told, dict)["text"]
    assert 0 == bridge.problem_count


async def test_each_call_ends_before_the_next_begins() -> None:
    """
    Executing and completed alternate, with the same call id.
    """
    publisher = RecordingPublisher()
    await explore(SOURCE / "core", *agent_of(publisher))
    begun = [data["call_id"] for data in publisher.data("tool_executing")]
    ended = [data["call_id"] for data in publisher.data("tool_completed")]
    tools = [kind for kind in publisher.types if kind.startswith("tool_")]

    assert begun == ended
    assert ["tool_executing", "tool_completed"] * len(begun) == tools


async def test_an_exploration_can_be_repeated() -> None:
    """
    The same folder and question give the same findings.
    """
    first = await explored(SOURCE / "core", "What is an epoch?")
    second = await explored(SOURCE / "core", "What is an epoch?")

    assert first == second


async def test_an_empty_folder_is_explored(tmp_path: Path) -> None:
    """
    An empty folder is a finding, not an error.
    """
    summary = await explored(tmp_path, "Anything?")

    assert (0, 0) == (summary.files, summary.tool_failures)
    assert f"{tmp_path.name} holds no readable files." == summary.text


async def test_other_languages_are_explored(tmp_path: Path) -> None:
    """
    A folder without Python is read and searched for its programs' beginnings.
    """
    (tmp_path / "main.go").write_text("package main\n\nfunc main() {\n\t// TODO\n}\n")
    (tmp_path / "notes.bin").write_bytes(b"\0" * 100)
    summary = await explored(tmp_path)

    assert ("main.go:3",) == summary.entry_points
    assert 1 == summary.todos
    assert "Go" == summary.languages[0].name


async def test_broken_files_do_not_stop_it(tmp_path: Path) -> None:
    """
    A file that cannot be analysed is counted as a failure; the others are analysed.
    """
    (tmp_path / "bad.py").write_text("def (" * 100)
    (tmp_path / "good.py").write_text("def fine() -> None: ...\n")
    summary = await explored(tmp_path)

    assert 1 == summary.tool_failures
    assert ["good.py"] == [module.name for module in summary.largest_modules]


async def test_a_missing_folder_is_told_and_raised(tmp_path: Path) -> None:
    """
    A folder that is not there ends the run with an error that says so.
    """
    publisher = RecordingPublisher()
    with pytest.raises(FolderError, match="No such file or directory"):
        await explore(tmp_path / "missing", *agent_of(publisher))

    assert ["agent_started", "agent_error"] == publisher.types


ANTHROPIC = Anthropic(api_key="k3y", model="a-model")
OPENAI = OpenAI(api_key="k3y", model="a-model")


def anthropic_call(call_id: str, name: str, arguments: dict[str, object]) -> object:
    use = {"type": "tool_use", "id": call_id, "name": name, "input": arguments}
    return {"content": [{"type": "text", "text": "Let me look."}, use]}


def anthropic_text(text: str) -> object:
    return {"content": [{"type": "text", "text": text}], "stop_reason": "end_turn"}


def openai_call(call_id: str, name: str, arguments: dict[str, object]) -> object:
    function = {"name": name, "arguments": json.dumps(arguments)}
    call = {"id": call_id, "type": "function", "function": function}
    message = {"role": "assistant", "content": "Let me look.", "tool_calls": [call]}
    return {"choices": [{"message": message}]}


def openai_text(text: str) -> object:
    return {"choices": [{"message": {"role": "assistant", "content": text}}]}


class ModelService:
    """Speaks a provider's shape: one scripted answer per request."""

    def __init__(self, answers: list[object], status: int = 200) -> None:
        self.answers = answers
        self.status = status
        self.bodies: list[dict[str, list[object]]] = []
        self.keys: list[str] = []

    async def answer(self, request: Request) -> Response:
        self.bodies.append(await request.json())
        headers = request.headers
        self.keys.append(headers.get("x-api-key") or headers["authorization"])
        return JSONResponse(self.answers.pop(0), self.status)


async def asked(
    model: ModelService, provider: Provider, publisher: RecordingPublisher, root: Path
) -> str:
    dispatcher, bridge = agent_of(publisher)
    with Folder(root) as folder:
        register_folder_tools(dispatcher, folder)
        async with http_service(model.answer) as base_url:
            return await ask_model(
                "What is here?",
                dispatcher,
                bridge,
                provider=provider,
                base_url=base_url,
                max_steps=3,
            )


@pytest.mark.parametrize(
    ("provider", "answers", "key"),
    [
        (
            ANTHROPIC,
            [
                anthropic_call("c1", "read_file", {"path": "a.txt"}),
                anthropic_call("c2", "read_file", {"path": "../x"}),
                anthropic_text("An a."),
            ],
            "k3y",
        ),
        (
            OPENAI,
            [
                openai_call("c1", "read_file", {"path": "a.txt"}),
                openai_call("c2", "read_file", {"path": "../x"}),
                openai_text("An a."),
            ],
            "Bearer k3y",
        ),
    ],
)
async def test_a_model_drives_the_tools(
    tmp_path: Path, provider: Provider, answers: list[object], key: str
) -> None:
    """
    The model's calls run as real tools, their results go back, its answer is the end.
    """
    (tmp_path / "a.txt").write_text("only an a")
    publisher = RecordingPublisher()
    model = ModelService(answers)
    answer = await asked(model, provider, publisher, tmp_path)

    assert "An a." == answer
    assert [key] * 3 == model.keys
    assert 7 == len(model.bodies[0]["tools"])
    assert "only an a" in json.dumps(model.bodies[1]["messages"])
    assert "must not hold '..'" in json.dumps(model.bodies[2]["messages"])
    assert ["c1", "c2"] == [d["call_id"] for d in publisher.data("tool_completed")]
    assert "An a." == publisher.data("agent_completed")[0]["result"]
    assert "k3y" not in repr(provider)


@pytest.mark.parametrize(
    ("answers", "status", "words"),
    [
        ([{"error": "overloaded"}], 529, "529"),
        ([[]], 200, "another shape"),
        ([{"content": None}], 200, "another shape"),
        ([anthropic_call("c", "none", {})] * 3, 200, "no answer within 3 steps"),
    ],
)
async def test_a_model_that_fails_ends_the_run(
    tmp_path: Path, answers: list[object], status: int, words: str
) -> None:
    """
    Whatever the provider does wrong is a typed error, told to the user.
    """
    publisher = RecordingPublisher()
    with pytest.raises(ModelError, match=words):
        await asked(ModelService(answers, status), ANTHROPIC, publisher, tmp_path)

    assert "agent_error" == publisher.types[-1]
