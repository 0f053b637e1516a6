"""How the outside reaches the service: WebSocket, HTTP, credentials."""
