import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "library", "extra"),
    [
        ("langchain", "langchain_core", "langchain"),
        ("pydantic_ai", "pydantic_ai", "pydantic-ai"),
        ("openai_agents", "agents", "openai-agents"),
    ],
)
def test_a_missing_library_is_named_with_its_extra(
    module: str, library: str, extra: str
) -> None:
    """
    Without its library an adapter says what to install; the others are not touched.
    """
    program = (
        f"import sys; sys.modules[{library!r}] = None\n"
        f"import service.agents.dispatcher\n"
        f"import service.agents.frameworks.{module}"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )

    assert 1 == ended.returncode
    last = ended.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert last.endswith(f"pip install 'event-service[{extra}]'")
