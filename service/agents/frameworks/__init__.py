"""Agents built with other libraries, told to their user by the bridge.

Each module needs its library: `event-service[langchain]`, `[pydantic-ai]` or
`[openai-agents]`.
"""
