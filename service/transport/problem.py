"""Problem details (RFC 9457): how every HTTP error looks."""

from service.errors import ServiceError

PROBLEM_JSON = "application/problem+json"


def problem(error: ServiceError) -> dict[str, object]:
    """Return the body of an error response.

    Keys: `type`, `title`, `status`, `detail`, `code`, and `errors`, a list of
    `{field, rule}`, when fields are named.
    """
    body: dict[str, object] = {
        "type": "about:blank",
        "title": error.title,
        "status": error.status,
        "detail": error.message,
        "code": error.code,
    }
    if error.faults:
        body["errors"] = [
            {"field": fault.field, "rule": fault.rule} for fault in error.faults
        ]
    return body
